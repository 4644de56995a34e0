//! Removes a model: its record, the files that no other record names, and its unfinished transfers.

use std::sync::Arc;

use artifact_store::{LeaseBlock, LeftoverEntry};
use provisioner_core::{CatalogRecord, ModelRef};

use crate::{
    catalog::{
        provenance::{self, Action, Line},
        put::check_log,
        records,
    },
    context::Context,
    error::{Error, Result},
    resolve::reference::canonical,
    space::removal::{ExclusiveStore, remove_record},
};

/// Lists what a call removed of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Removed {
    /// The model's record, where it had one.
    pub record: Option<CatalogRecord>,
    /// The unfinished transfers that the call discarded.
    pub transfers: Vec<LeftoverEntry>,
}

/// Removes a recorded model, and returns its record.
pub(crate) async fn remove(ctx: &Arc<Context>, reference: &ModelRef) -> Result<CatalogRecord> {
    let id = canonical(ctx, reference).await?.id();
    records::find(ctx, &id).await?;
    purge(ctx, reference).await?.record.ok_or(Error::NotInCatalog { id })
}

/// Removes everything that the cache keeps of a model, recorded or not.
pub(crate) async fn purge(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Removed> {
    let id = canonical(ctx, reference).await?.id();
    check_log(ctx).await?;
    let record = ctx.catalog.get(&id).await?.map(|found| found.record);
    if let Some(record) = &record {
        remove_files(ctx, record).await?;
    }
    ctx.run_blocking(move |ctx| {
        if let Some(record) = &record {
            provenance::log(ctx).record(&Line::of_record(ctx, Action::Remove, record));
        }
        let transfers = ctx.store.discard_transfers(&id)?;
        if record.is_some() || !transfers.is_empty() {
            return Ok(Removed { record, transfers });
        }
        Err(ctx.store.check_idle(&id).map_or_else(Error::from, |()| Error::NotInCatalog { id }))
    })
    .await
}

/// Removes a record, and the files of a fetched model that no other record names.
async fn remove_files(ctx: &Arc<Context>, record: &CatalogRecord) -> Result<()> {
    let root = record.root();
    if !ctx.store.holds(root) {
        let _unleased = block_leases(ctx, record).await?;
        return remove_record(ctx, &record.id, root).await;
    }
    let store = ExclusiveStore::lock(ctx, Vec::new()).await?;
    let ids = store.get().view(root).map(|view| view.ids.clone()).unwrap_or_default();
    if matches!(ids.as_slice(), [only] if **only == record.id) {
        let freed = store.remove_view(ctx, root, &ids).await?;
        tracing::debug!("{freed} bytes are freed");
        return Ok(());
    }
    // Other records name the view too, or the view is gone.
    let _unleased = block_leases(ctx, record).await?;
    remove_record(ctx, &record.id, root).await
}

/// Blocks new leases on a model whose record this call removes and whose files stay. Where locks do not work, a caller
/// loses no more than the record.
async fn block_leases(ctx: &Arc<Context>, record: &CatalogRecord) -> Result<Option<LeaseBlock>> {
    let (root, id) = (record.root().to_owned(), record.id.clone());
    ctx.run_blocking(move |ctx| match ctx.store.block_leases(&root, &id) {
        Err(artifact_store::Error::UntrustedLocks { .. }) => Ok(None),
        alone => Ok(Some(alone?)),
    })
    .await
}
