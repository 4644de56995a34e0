//! Plans an eviction, and carries the plan out.

use std::sync::Arc;

use artifact_store::{Evicted, EvictionLimits, EvictionPlan, EvictionRequest, USED_SINCE};

use super::removal::ExclusiveStore;
use crate::{
    catalog::{
        provenance::{self, Action, Line},
        records,
    },
    context::Context,
    error::{Error, Result},
};

/// Returns what [`evict`] would remove, and why.
pub(crate) async fn plan_eviction(ctx: &Arc<Context>, limits: &EvictionLimits) -> Result<EvictionPlan> {
    ctx.run_blocking(|ctx| {
        ctx.store.check_locks()?;
        ctx.store.sweep_leases();
        Ok(())
    })
    .await?;
    let request = request(ctx, limits, 0);
    let recorded = records::recorded(ctx).await?;
    ctx.run_blocking(move |ctx| Ok(ctx.store.inventory_beside(recorded, &[])?.plan_eviction(&request))).await
}

/// Removes the models of a plan that no caller has used since, and returns what it removed.
pub(crate) async fn evict(ctx: &Arc<Context>, plan: &EvictionPlan) -> Result<EvictionPlan> {
    let store = ExclusiveStore::lock(ctx, Vec::new()).await?;
    let request = EvictionRequest { now: ctx.clock.now(), ..plan.request };
    let later = store.get().inventory().plan_eviction(&request);
    carry_out(ctx, &store, plan.still(later)).await
}

/// Returns the terms of a plan that a call makes now.
pub(crate) fn request(ctx: &Context, limits: &EvictionLimits, needed_bytes: u64) -> EvictionRequest {
    EvictionRequest { limits: *limits, now: ctx.clock.now(), needed_bytes }
}

/// Carries a plan out, and returns what it did.
pub(crate) async fn carry_out(
    ctx: &Arc<Context>,
    store: &ExclusiveStore,
    plan: EvictionPlan,
) -> Result<EvictionPlan> {
    let mut done = plan.clone();
    done.evicted.clear();
    let (request, planned) = (plan.request, plan.leftovers);
    done.leftovers = store
        .run(ctx, move |removals| {
            let mut gone = Vec::new();
            for mut swept in planned {
                if let Some(bytes) = removals.sweep(&swept)? {
                    swept.bytes = bytes;
                    gone.push(swept);
                }
            }
            removals.tidy();
            Ok(gone)
        })
        .await?;
    done.freed_bytes = done.leftovers.iter().map(|swept| swept.bytes).sum();
    for mut evicted in plan.evicted {
        // A caller that asks for the model from here on takes a lease first, and sees then that the model is gone.
        let view = evicted.root.clone();
        if store.run(ctx, move |removals| Ok(removals.is_used_since(&view))).await? {
            done.spare(evicted.ids, USED_SINCE);
            continue;
        }
        if let Some(reason) = why_unreadable(ctx, &evicted.ids).await {
            done.spare(evicted.ids, reason);
            continue;
        }
        match store.remove_view(ctx, &evicted.root, &evicted.ids).await {
            Ok(bytes) => evicted.bytes = bytes,
            Err(Error::Store(error)) if matches!(*error, artifact_store::Error::Leased { .. }) => {
                done.spare(evicted.ids, error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        }
        done.freed_bytes += evicted.bytes;
        let evicted = note_eviction(ctx, evicted).await?;
        done.evicted.push(evicted);
    }
    let left = done.size_bytes.saturating_sub(done.freed_bytes).saturating_add(request.needed_bytes);
    done.over_bytes = request.limits.max_size_bytes.map_or(0, |limit| left.saturating_sub(limit));
    Ok(done)
}

/// Returns why the record of one of these ids cannot be read. Such a record may name more files than this process sees.
async fn why_unreadable(ctx: &Context, ids: &[Arc<str>]) -> Option<String> {
    for id in ids {
        if let Err(error) = ctx.catalog.get(id).await {
            return Some(error.to_string());
        }
    }
    None
}

async fn note_eviction(ctx: &Arc<Context>, evicted: Evicted) -> Result<Evicted> {
    ctx.run_blocking(move |ctx| {
        for id in &evicted.ids {
            let line = Line {
                local_path: Some(&evicted.root),
                reason: Some(&evicted.reason),
                ..Line::new(ctx.clock.now(), Action::Evict, id)
            };
            provenance::log(ctx).record(&line);
        }
        Ok(evicted)
    })
    .await
}
