//! The store's lock: shared by processes that put models in, exclusive for one that removes some. Every step takes it here.

use std::{sync::Arc, time::Duration};

use artifact_store::StoreLock;

use crate::{context::Context, error::Result};

/// How long a removal waits for processes that put models into the store, unless the caller says otherwise.
pub(crate) const REMOVAL_WAIT: Duration = Duration::from_secs(60);

/// Keeps every process from removing anything from the store until the lock is dropped. Returns `None` where the cache cannot
/// be written, for there no process can remove anything.
pub(crate) async fn shared(ctx: &Arc<Context>) -> Result<Option<StoreLock>> {
    let wait = ctx.lock_wait.limit.unwrap_or(artifact_store::STORE_LOCK_WAIT);
    match ctx.run_blocking(move |ctx| Ok(ctx.store.lock_shared(wait)?)).await {
        Err(error) if error.is_unwritable() => Ok(None),
        shared => Ok(Some(shared?)),
    }
}

/// Keeps every other process from putting anything into the store, and from removing anything, until the lock is dropped. Waits
/// for as long as the caller of the provisioner said.
pub(crate) async fn exclusive(ctx: &Arc<Context>) -> Result<StoreLock> {
    exclusive_within(ctx, ctx.lock_wait.limit.unwrap_or(REMOVAL_WAIT)).await
}

/// Takes the lock as [`exclusive`] does, and waits so long for it.
pub(crate) async fn exclusive_within(ctx: &Arc<Context>, wait: Duration) -> Result<StoreLock> {
    ctx.run_blocking(move |ctx| Ok(ctx.store.lock_exclusive(wait)?)).await
}
