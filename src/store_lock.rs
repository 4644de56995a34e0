//! The store's lock, as a process takes it that puts something in.

use std::sync::Arc;

use artifact_store::StoreLock;

use crate::{context::Context, error::Result};

/// Keeps every process from removing anything from the store until the lock is dropped. Returns `None` where the cache cannot
/// be written, for there no process can remove anything.
pub(crate) async fn lock_shared(ctx: &Arc<Context>) -> Result<Option<StoreLock>> {
    let wait = ctx.lock_wait.limit.unwrap_or(artifact_store::STORE_LOCK_WAIT);
    match ctx.run_blocking(move |ctx| Ok(ctx.store.lock_shared(wait)?)).await {
        Err(error) if error.is_unwritable() => Ok(None),
        shared => Ok(Some(shared?)),
    }
}
