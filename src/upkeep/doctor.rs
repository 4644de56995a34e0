//! Finds the problems of a cache, and repairs them.
//!
//! # Order
//! What a look finds while other processes work may be their work half done. So the look, and every repair that takes
//! moments, happens under the store's exclusive lock, with the records that `doctor` reads behind it. `doctor` removes
//! leftovers as `gc` does. It makes a model present, which it has to read or link, as `ensure` does. Each of the two
//! looks a second time under its own locks.

use std::sync::Arc;

use artifact_store::{RecordedModels, StoreInventory, StoreLock};
use provisioner_core::DamagedRecord;

use crate::{catalog::records, context::Context, error::Result, store_lock};

pub(crate) mod finding;
mod folder;
mod leftovers;
mod permissions;
mod record;
mod restore;
mod store;

use finding::HealthFinding;
use restore::Broken;

/// Returns the problems of the cache, and repairs them where `fix` says so.
pub(crate) async fn doctor(ctx: &Arc<Context>, fix: bool) -> Result<Vec<HealthFinding>> {
    let (files, unfinished) = (ctx.catalog.local_files().await?, ctx.catalog.leftovers().await?);
    let mut findings = ctx
        .run_blocking(move |ctx| {
            let mut findings = permissions::findings(ctx, files, fix);
            findings.extend(folder::findings(ctx, unfinished, fix));
            Ok(findings)
        })
        .await?;
    let (store_lock, doubt) = lock_exclusive(ctx).await?;
    let (mut look, damaged) = Look::take(ctx).await?;
    for damaged in damaged {
        findings.push(store::set_aside(ctx, damaged, fix).await);
    }
    let (mut found, unsealed) =
        store::problems(ctx, &look.inventory, store_lock.as_ref(), doubt, fix).await?;
    if fix && !found.is_empty() {
        // The second look takes the place of the first: a store of many models fits into memory once.
        drop(look);
        (look, _) = Look::take(ctx).await?;
    }
    findings.append(&mut found);
    let plan = leftovers::plan(ctx, look.inventory).await?;
    // Each of the following steps looks a second time, under its own locks.
    drop(store_lock);
    findings.extend(leftovers::remove(ctx, plan, fix).await);
    for broken in unsealed.into_iter().chain(look.broken) {
        findings.extend(restore::bring_back(ctx, broken, fix).await);
    }
    Ok(findings)
}

/// Holds what `doctor` sees of the catalog and of the store under the store's lock.
struct Look {
    inventory: Arc<StoreInventory>,
    /// The models that are not what their records say, in the order of their ids.
    broken: Vec<Broken>,
}

impl Look {
    /// Looks at every record and at the store. Returns also the records that the catalog cannot read.
    async fn take(ctx: &Arc<Context>) -> Result<(Self, Vec<DamagedRecord>)> {
        let kept = (RecordedModels::default(), Vec::new());
        let ((recorded, mut broken), damaged) =
            records::visit(ctx, kept, |ctx, (recorded, broken), record| {
                broken.extend(restore::broken(ctx, &record));
                recorded.add(&ctx.store, record);
            })
            .await?;
        broken.sort_unstable_by(|a: &Broken, b| a.id.cmp(&b.id));
        let inventory = ctx.run_blocking(move |ctx| Ok(ctx.store.inventory_beside(recorded, &[])?)).await?;
        Ok((Self { inventory: Arc::new(inventory), broken }, damaged))
    }
}

/// Keeps other processes from putting files into the store and from removing any, or says why it cannot. Where this
/// process may not write, or where there is no store yet, it needs no lock.
async fn lock_exclusive(ctx: &Arc<Context>) -> Result<(Option<Arc<StoreLock>>, Option<String>)> {
    if !ctx.run_blocking(|ctx| Ok(ctx.store.root().exists())).await? {
        return Ok((None, None));
    }
    Ok(match store_lock::exclusive(ctx).await {
        Ok(store_lock) => (Some(Arc::new(store_lock)), None),
        Err(error) => (None, Some(error.to_string())),
    })
}
