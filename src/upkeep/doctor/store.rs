//! Repairs the problems of the catalog's records and of the store.

use std::sync::Arc;

use artifact_store::{Problem, ProblemKind, StoreInventory, StoreLock};
use provisioner_core::{
    CatalogErrorKind, CatalogRecord, DamagedRecord, ErrorCode, Hint, Precondition, Repair,
};

use super::{
    finding::{FIX, HealthFinding},
    restore::Broken,
};
use crate::{context::Context, error::Result};

/// How many views `doctor` reads the records of at once. A record of many files has megabytes.
const VIEWS_AT_ONCE: usize = 64;

/// Sets a damaged record aside, where `fix` says so and no newer release wrote it.
pub(super) async fn set_aside(ctx: &Context, damaged: DamagedRecord, fix: bool) -> HealthFinding {
    let code = if damaged.is_newer { ErrorCode::NewerRecord } else { ErrorCode::DamagedRecord };
    let hint = code.hint();
    let problem = damaged.reason.clone();
    let finding = HealthFinding { problem, mended: None, hint, is_harmless: false };
    if damaged.is_newer || !fix {
        return finding;
    }
    let aside = ctx.catalog.set_aside(&damaged).await;
    let told = aside.map(|aside| Some(format!("set aside as `{}`", aside.display())));
    finding.after(told.map_err(|error| error.to_string()))
}

/// Returns the problems of the store, and repairs them under the store lock where `fix` says so. Returns also the models
/// that have lost their seal: a call must read them before they get a seal again.
pub(super) async fn problems(
    ctx: &Arc<Context>,
    inventory: &Arc<StoreInventory>,
    store_lock: Option<&Arc<StoreLock>>,
    doubt: Option<String>,
    fix: bool,
) -> Result<(Vec<HealthFinding>, Vec<Broken>)> {
    let (mut findings, mut unsealed) = (Vec::new(), Vec::new());
    for problem in find(ctx, inventory).await? {
        let finding = HealthFinding::new(problem.told(), hint_of(&problem.kind, fix));
        let mended = match store_lock {
            _ if !fix => Ok(None),
            Some(store_lock) => repair(ctx, store_lock, &problem).await.map_err(|error| error.to_string()),
            None => Err(doubt.clone().unwrap_or_default()),
        };
        match (problem.kind, &mended) {
            (ProblemKind::SealLost(record), Ok(None)) if fix => {
                unsealed.push(Broken::new(ctx, &record, finding));
            }
            _ => findings.push(finding.after(mended)),
        }
    }
    Ok((findings, unsealed))
}

/// Finds the problems of the store. It reads the records of a few views at a time.
async fn find(ctx: &Arc<Context>, inventory: &Arc<StoreInventory>) -> Result<Vec<Problem>> {
    let mut found = ctx.run_blocking(|ctx| Ok(ctx.store.problems_of_names()?)).await?;
    let count = inventory.views.len();
    for views in (0..count).step_by(VIEWS_AT_ONCE).map(|at| at..count.min(at + VIEWS_AT_ONCE)) {
        let ids: Vec<_> = inventory.views[views.clone()]
            .iter()
            .filter_map(|view| Some(view.ids.first()?.to_string()))
            .collect();
        let records = ctx.catalog.get_several(&ids).await?.records;
        let inventory = Arc::clone(inventory);
        let of_views = ctx.run_blocking(move |ctx| {
            let mut found = Vec::new();
            for view in &inventory.views[views] {
                let root = inventory.root_of(view);
                let of_view = records.iter().find(|found| found.record.root() == root);
                found.extend(ctx.store.problems_of_view(view, of_view.map(|found| &found.record))?);
            }
            Ok(found)
        });
        found.extend(of_views.await?);
    }
    let inventory = Arc::clone(inventory);
    found.extend(ctx.run_blocking(move |ctx| Ok(ctx.store.problems_of_blobs(&inventory)?)).await?);
    Ok(found)
}

async fn repair(
    ctx: &Arc<Context>,
    store_lock: &Arc<StoreLock>,
    problem: &Problem,
) -> Result<Option<String>> {
    if let ProblemKind::Unrecorded(record) = &problem.kind {
        return record_again(ctx, record).await;
    }
    let (store_lock, problem) = (Arc::clone(store_lock), problem.clone());
    ctx.run_blocking(move |ctx| Ok(ctx.store.repair(&store_lock, &problem)?)).await
}

/// Puts the record of a whole view back into the catalog.
async fn record_again(ctx: &Context, record: &CatalogRecord) -> Result<Option<String>> {
    match ctx.catalog.put(record, Precondition::Absent).await {
        Err(error) if error.kind == CatalogErrorKind::Conflict => {}
        put => {
            put?;
            return Ok(Some("put back into the catalog".to_owned()));
        }
    }
    // A newer commit may have the id. This record is then the revision that a refresh left behind.
    let Some(record) = ctx.registry.superseded(record) else { return Ok(None) };
    match ctx.catalog.put(&record, Precondition::Absent).await {
        Err(error) if error.kind == CatalogErrorKind::Conflict => Ok(None),
        put => {
            put?;
            Ok(Some(format!("put back into the catalog as `{}`, retired", record.id)))
        }
    }
}

/// Returns the next step for a problem of the store.
fn hint_of(kind: &ProblemKind, fix: bool) -> Hint {
    match kind {
        ProblemKind::Stray => "move it elsewhere: only models belong there".into(),
        ProblemKind::Unreadable(_) => "check its owner and mode".into(),
        ProblemKind::UnknownView if fix => Hint::Repair(Repair::MovesAwayLater),
        _ => FIX,
    }
}
