//! Takes the store's lock: shared for a process that puts models in, exclusive for one that removes some. No other file
//! of a step takes it.

use std::{sync::Arc, time::Duration};

use artifact_store::StoreLock;

use crate::{context::Context, error::Result};

/// How long a removal waits for processes that put models into the store, unless its caller says otherwise.
pub(crate) const REMOVAL_WAIT: Duration = Duration::from_secs(60);

/// Keeps every process from removing anything from the store until its last holder drops the lock. Blocking work that writes
/// holds it too, so that it lasts as long as the work, also where the caller drops the future.
pub(crate) async fn shared(ctx: &Arc<Context>) -> Result<Arc<StoreLock>> {
    let wait = ctx.lock_wait.limit.unwrap_or(artifact_store::STORE_LOCK_WAIT);
    ctx.run_blocking(move |ctx| Ok(Arc::new(ctx.store.lock_shared(wait)?))).await
}

/// Takes the lock as [`shared`] does. Returns `None` where this process may not write to the cache: there no process of this
/// user can remove anything.
pub(crate) async fn shared_if_writable(ctx: &Arc<Context>) -> Result<Option<Arc<StoreLock>>> {
    match shared(ctx).await {
        Err(error) if error.is_unwritable() => Ok(None),
        shared => Ok(Some(shared?)),
    }
}

/// Keeps every other process from putting anything into the store, and from removing anything, until the caller drops the
/// lock. Waits as long as the caller of [`ProvisionerBuilder::wait`](crate::ProvisionerBuilder::wait) said.
pub(crate) async fn exclusive(ctx: &Arc<Context>) -> Result<StoreLock> {
    exclusive_within(ctx, ctx.lock_wait.limit.unwrap_or(REMOVAL_WAIT)).await
}

/// Takes the lock as [`exclusive`] does, and waits for at most `wait`.
pub(crate) async fn exclusive_within(ctx: &Arc<Context>, wait: Duration) -> Result<StoreLock> {
    ctx.run_blocking(move |ctx| Ok(ctx.store.lock_exclusive(wait)?)).await
}
