//! Seals the view of a fetched model.

use std::sync::{Arc, OnceLock};

use artifact_store::StoreLock;
use provisioner_core::{CatalogRecord, VerifiedModel};

use crate::{
    context::{CancelOnDrop, Context},
    error::{Error, Result},
    stage::{read_progress::ReadProgress, session::StagingSession},
};

/// Makes a sealed view of a verified model's staged files, and returns its record. The work holds the store's lock to its end,
/// also where the caller drops the future.
pub(crate) async fn seal(
    ctx: &Arc<Context>,
    store_lock: Arc<StoreLock>,
    verified: VerifiedModel,
    session: Arc<StagingSession>,
) -> Result<CatalogRecord> {
    let cancel = CancelOnDrop::default();
    let is_cancelled = cancel.watch();
    ctx.run_blocking(move |ctx| {
        let id = verified.staged().manifest().reference().id();
        let begin = || ReadProgress::start(&ctx.progress, &id, &ctx.store.externally_linked_sizes(&verified));
        let reading = OnceLock::new();
        let go_on = |bytes| {
            reading.get_or_init(begin).add(bytes);
            !is_cancelled()
        };
        let record = ctx.store.commit(&store_lock, &verified, ctx.clock.now(), &go_on)?;
        drop(reading);
        if let Err(error) = session.discard_all().and_then(|()| ctx.store.discard_resumable_of(&record.id)) {
            tracing::debug!("a partial is left: {error}");
        }
        Ok(record)
    })
    .await
}

/// Seals the view of a record again, where another process began to remove it and did not finish.
pub(crate) async fn seal_again(
    ctx: &Arc<Context>,
    store_lock: Option<Arc<StoreLock>>,
    fresh: CatalogRecord,
) -> Result<CatalogRecord> {
    ctx.run_blocking(move |ctx| {
        let sealed = ctx.store.seal_again(&fresh).map_err(Error::from);
        drop(store_lock);
        match sealed {
            Err(error) if !error.is_unwritable() => Err(error),
            _ => Ok(fresh),
        }
    })
    .await
}
