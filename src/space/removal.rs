//! Removes views from the store behind its exclusive lock.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use artifact_store::Removals;
use provisioner_core::Digest;

use crate::{
    catalog::{put::check_log, records},
    context::Context,
    error::Result,
    retry::retry_on_conflict,
    store_lock,
};

/// Holds the store's exclusive lock, and what the store had when this process took it. Blocking work holds it to its end,
/// also when its caller drops the future.
#[derive(Clone)]
pub(crate) struct ExclusiveStore(Arc<Mutex<Removals>>);

impl ExclusiveStore {
    /// Takes the store's exclusive lock, and lists what the store has. No removal takes a blob in `pinned`.
    pub(crate) async fn lock(ctx: &Arc<Context>, pinned: Vec<Digest>) -> Result<Self> {
        check_log(ctx).await?;
        let store_lock = store_lock::exclusive(ctx).await?;
        let recorded = records::recorded(ctx).await?;
        ctx.run_blocking(move |ctx| {
            let inventory = ctx.store.inventory_beside(recorded, &pinned)?;
            Ok(Self(Arc::new(Mutex::new(ctx.store.removals(store_lock, inventory)))))
        })
        .await
    }

    /// Runs work under the lock, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        ctx: &Arc<Context>,
        work: impl FnOnce(&mut Removals) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let removals = self.clone();
        ctx.run_blocking(move |_| work(&mut removals.get())).await
    }

    /// Returns the removals, for a caller that only looks and does not block.
    pub(crate) fn get(&self) -> MutexGuard<'_, Removals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a view and the records of these ids, and returns how many bytes that freed.
    pub(crate) async fn remove_view(&self, ctx: &Arc<Context>, root: &Path, ids: &[Arc<str>]) -> Result<u64> {
        let view = root.to_owned();
        let removal = self.run(ctx, move |removals| Ok(removals.begin(&view)?)).await?;
        for id in ids {
            remove_record(ctx, id, root).await?;
        }
        self.run(ctx, move |removals| Ok(removals.finish(removal)?)).await
    }
}

/// Removes the record of an id, if it still names that view.
pub(crate) async fn remove_record(ctx: &Arc<Context>, id: &str, root: &Path) -> Result<()> {
    let is_removed = retry_on_conflict(id, || async {
        let found = ctx.catalog.get(id).await?.filter(|found| found.record.root() == root);
        let Some(found) = found else { return Ok(false) };
        ctx.catalog.remove(id, found.version).await?;
        Ok(true)
    });
    if is_removed.await? {
        let id = id.to_owned();
        ctx.run_blocking(move |ctx| {
            ctx.store.forget_used(&id);
            Ok(())
        })
        .await?;
    }
    Ok(())
}
