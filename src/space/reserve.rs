//! Makes sure that a model fits before a step stages it.

use std::{path::PathBuf, sync::Arc};

use artifact_store::EvictionPlan;
use provisioner_core::Digest;

use super::{
    evict::{carry_out, request},
    removal::ExclusiveStore,
};
use crate::{catalog::records, context::Context, error::Result};

/// Makes sure that so many bytes fit onto the disk, and into the store's limit where the operator set one. `found` are
/// the blobs of the model that the store has, `transfers` the partials that the model may resume.
///
/// # Errors
/// [`artifact_store::Error::NoRoom`]; the disk has too little space.
pub(crate) async fn reserve(
    ctx: &Arc<Context>,
    needed_bytes: u64,
    found: &[Digest],
    transfers: &Arc<[PathBuf]>,
) -> Result<()> {
    make_room(ctx, needed_bytes, found.to_vec(), Arc::clone(transfers)).await?;
    ctx.run_blocking(move |ctx| Ok(ctx.store.check_space(needed_bytes)?)).await
}

/// Evicts models until so many bytes fit into the limit. It evicts none where that would not be enough.
async fn make_room(
    ctx: &Arc<Context>,
    needed_bytes: u64,
    found: Vec<Digest>,
    transfers: Arc<[PathBuf]>,
) -> Result<()> {
    let Some(limit_bytes) = ctx.limits.max_size_bytes else { return Ok(()) };
    let request = request(ctx, &ctx.limits, needed_bytes);
    let check = |plan: &EvictionPlan| match plan.over_bytes {
        0 => Ok(()),
        over_bytes => {
            let path = ctx.store.root().to_owned();
            Err(artifact_store::Error::NoRoom { path, limit_bytes, needed_bytes, over_bytes })
        }
    };
    let (recorded, pinned) = (records::recorded(ctx).await?, found.clone());
    let resumed = Arc::clone(&transfers);
    let plan = ctx
        .run_blocking(move |ctx| {
            Ok(ctx.store.inventory_beside(recorded, &pinned)?.keeping(&resumed).plan_eviction(&request))
        })
        .await?;
    check(&plan)?;
    if plan.size_bytes.saturating_add(needed_bytes) <= limit_bytes {
        return Ok(());
    }
    let store = ExclusiveStore::lock(ctx, found).await?;
    let plan = store.get().inventory().clone().keeping(&transfers).plan_eviction(&request);
    check(&plan)?;
    Ok(check(&carry_out(ctx, &store, plan).await?)?)
}
