//! The revision that a refresh leaves behind.

use std::sync::Arc;

use provisioner_core::CatalogRecord;

use crate::{
    catalog::{provenance::Action, put::put},
    context::Context,
    error::Result,
    resolve::presence::is_whole,
    store_lock,
};

/// Records the revision that a refresh leaves behind, while no process removes it. Since the record moved, no record has named
/// its view: a removal may have taken the view, and then there is nothing to record.
pub(crate) async fn keep_superseded(ctx: &Arc<Context>, superseded: CatalogRecord) -> Result<()> {
    let store_lock = store_lock::shared(ctx).await?;
    let record = superseded.clone();
    if ctx.run_blocking(move |ctx| Ok(is_whole(&ctx.store, &record))).await? {
        match put(ctx, superseded, None, Action::Retire).await {
            Err(error) if error.is_conflict() => {}
            put => drop(put?),
        }
    }
    drop(store_lock);
    Ok(())
}
