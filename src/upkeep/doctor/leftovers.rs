//! Finds and removes what unfinished work left in the store.

use std::sync::Arc;

use artifact_store::{EvictionLimits, EvictionPlan, StoreInventory};
use provisioner_core::{Hint, Repair};

use super::{finding::HealthFinding, folder::is_old};
use crate::{
    context::Context,
    error::Result,
    space::evict::{evict, request},
};

/// Plans the removal of files that no record needs, and of models whose removal a process began. Partials come and go
/// without the store lock: a young one may be of a live process, which removes it.
pub(super) async fn plan(ctx: &Arc<Context>, inventory: Arc<StoreInventory>) -> Result<EvictionPlan> {
    let request = request(ctx, &EvictionLimits::default(), 0);
    ctx.run_blocking(move |ctx| {
        let mut plan = inventory.plan_eviction(&request);
        let partials = ctx.store.root().join("partial");
        plan.leftovers.retain(|swept| !swept.path.starts_with(&partials) || is_old(&swept.path, request.now));
        Ok(plan)
    })
    .await
}

/// Removes the files of a plan, where `fix` says so.
pub(super) async fn remove(ctx: &Arc<Context>, plan: EvictionPlan, fix: bool) -> Vec<HealthFinding> {
    if plan.is_empty() {
        return Vec::new();
    }
    let done = if fix {
        evict(ctx, &plan).await.map_err(|error| error.to_string())
    } else {
        Ok(EvictionPlan::default())
    };
    let mended = |is_gone: &dyn Fn(&EvictionPlan) -> bool| match &done {
        Ok(done) => Ok(is_gone(done).then(|| "removed".to_owned())),
        Err(error) => Err(error.clone()),
    };
    let mut findings = Vec::new();
    for swept in &plan.leftovers {
        let is_gone = |done: &EvictionPlan| done.leftovers.iter().any(|gone| gone.path == swept.path);
        let problem = format!("`{}`: {}", swept.path.display(), swept.reason);
        let finding = HealthFinding::new(problem, Hint::Repair(Repair::Removes));
        findings.push(finding.after(mended(&is_gone)));
    }
    for evicted in &plan.evicted {
        let is_gone = |done: &EvictionPlan| done.evicted.iter().any(|gone| gone.root == evicted.root);
        let problem = format!("`{}`: {}", evicted.ids.join("`, `"), evicted.reason);
        let finding = HealthFinding::new(problem, Hint::Repair(Repair::Finishes));
        findings.push(finding.after(mended(&is_gone)));
    }
    findings
}
