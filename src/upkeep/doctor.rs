//! Finds the problems of a cache, and repairs them.
//!
//! # Order
//! What a look finds while other processes work may be their work half done. So the look, and every repair that takes
//! moments, happens under the store's exclusive lock, with the records that `doctor` reads behind it. `doctor` removes
//! leftovers as `gc` does. It makes a model present, which it has to read or link, as `ensure` does. Each of the two
//! looks a second time under its own locks.

use std::sync::Arc;

use artifact_store::StoreLock;

use crate::{catalog::records, context::Context, error::Result, store_lock};

pub(crate) mod finding;
mod folder;
mod leftovers;
mod permissions;
mod record;
mod restore;
mod store;

use finding::HealthFinding;

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
    for damaged in ctx.catalog.list().await?.damaged {
        findings.push(store::set_aside(ctx, damaged, fix).await);
    }
    let (store_lock, doubt) = lock_exclusive(ctx).await?;
    let (mut found, unsealed) = store::problems(ctx, store_lock.as_ref(), doubt, fix).await?;
    findings.append(&mut found);
    let records = records::all(ctx).await?;
    let broken = restore::broken(ctx, records.clone()).await?;
    let plan = leftovers::plan(ctx, records).await?;
    // Each of the following steps looks a second time, under its own locks.
    drop(store_lock);
    findings.extend(leftovers::remove(ctx, plan, fix).await);
    for (record, finding) in unsealed.into_iter().chain(broken) {
        findings.extend(restore::bring_back(ctx, &record, finding, fix).await);
    }
    Ok(findings)
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
