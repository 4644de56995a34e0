//! Finds models that are not what their records say, and restores them without their source.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Expectation, Lifecycle, ModelRef, ResolvedModel};

use super::{finding::HealthFinding, record};
use crate::{
    catalog::provenance::Action,
    commit::model::commit,
    context::Context,
    error::{Error, Result},
    resolve::presence::is_whole,
    stage::{restage::restage, session::StagingSession},
    verify::judge::judge,
};

/// Returns the models that are not what their records say, without those that a live process is making present.
pub(super) async fn broken(
    ctx: &Arc<Context>,
    records: Vec<CatalogRecord>,
) -> Result<Vec<(CatalogRecord, HealthFinding)>> {
    ctx.run_blocking(move |ctx| {
        let found = records.into_iter().filter_map(|record| {
            let finding = record::finding(ctx, &record)?;
            (!ctx.store.is_being_staged(&record.id)).then_some((record, finding))
        });
        Ok(found.collect())
    })
    .await
}

/// Makes a model what its record says, without its source. Returns `None` where another process has done so meanwhile, or
/// has removed the model.
pub(super) async fn bring_back(
    ctx: &Arc<Context>,
    record: &CatalogRecord,
    finding: HealthFinding,
    fix: bool,
) -> Option<HealthFinding> {
    if !fix {
        return Some(finding);
    }
    let restored =
        match ModelRef::parse(&record.id, None).map_err(Error::from).and_then(|id| ctx.registry.read(&id)) {
            Ok(local) if local.is_local() => Ok(None),
            Ok(fetched) => restore(ctx, &fetched).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
    if matches!(restored, Ok(None)) && !is_still_broken(ctx, &record.id).await {
        return None;
    }
    let how = || "its bytes are those of its record, and it is present again".to_owned();
    let mended = restored.map(|restored| restored.map(|_| how()));
    let hint = record::hint(ctx, record);
    Some(HealthFinding { hint: Some(hint), ..finding }.after(mended))
}

/// Makes a recorded model present, without its source: from its view, or else from its blobs. Returns `None` where the
/// store lacks bytes of it, and for a retired model.
///
/// # Errors
/// The code `busy` where another process is making the model present; the verdict of a verifier.
async fn restore(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Option<ResolvedModel>> {
    let id = reference.id();
    let session = StagingSession::take_now(ctx, &id).await?;
    let Some(previous) = ctx.catalog.get(&id).await? else { return Ok(None) };
    let record = &previous.record;
    if record.lifecycle != Lifecycle::Active {
        return Ok(None);
    }
    let Some(staged) = restage(ctx, reference, record).await? else { return Ok(None) };
    let verified = judge(ctx, staged, Expectation::none().or(record.evidence())).await?;
    commit(ctx, verified, Some(previous), session, Action::Ensure).await.map(Some)
}

async fn is_still_broken(ctx: &Arc<Context>, id: &str) -> bool {
    let Ok(found) = ctx.catalog.get(id).await else { return true };
    let Some(found) = found else { return false };
    let look = ctx.run_blocking(move |ctx| {
        Ok(record::finding(ctx, &found.record).is_some() || !is_whole(&ctx.store, &found.record))
    });
    look.await.unwrap_or(true)
}
