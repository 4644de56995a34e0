//! Keeps the revision that a refresh leaves behind.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Versioned};

use crate::{
    catalog::{provenance::Action, put::put},
    context::Context,
    error::Result,
    resolve::presence::is_whole,
    store_lock,
};

/// Records the revision that a refresh leaves behind as retired, unless it is gone or current again. Since the record
/// moved, no record named the view of that revision: another process may have removed the view, or a repair may have put
/// its record back.
pub(crate) async fn keep_superseded(ctx: &Arc<Context>, old: &CatalogRecord) -> Result<()> {
    let Some(superseded) = ctx.registry.superseded(old) else { return Ok(()) };
    // While this process shares the lock, no `gc`, removal or repair takes the view away or puts its record back.
    let _lock = store_lock::shared_if_writable(ctx).await?;
    let is_current = |found: Versioned| found.record.root() == old.root();
    if ctx.catalog.get(&old.id).await?.is_some_and(is_current) {
        return Ok(());
    }
    let record = superseded.clone();
    if ctx.run_blocking(move |ctx| Ok(is_whole(&ctx.store, &record))).await? {
        match put(ctx, superseded, None, Action::Retire).await {
            Err(error) if error.is_conflict() => {}
            put => drop(put?),
        }
    }
    Ok(())
}
