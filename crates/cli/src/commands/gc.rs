//! Frees what no model needs, and evicts models.

use std::process::ExitCode;

use model_provisioner::EvictionLimits;

use crate::{
    args::GcArgs,
    invocation::Invocation,
    output::{
        documents::{collected::Collected, leftover},
        failure::Failure,
    },
};

/// Collects garbage: prints each choice with its reason, and then acts.
///
/// # Errors
/// Where the store cannot be read or changed, or its locks are not to be trusted.
pub(super) async fn run(invocation: &Invocation, args: &GcArgs) -> Result<ExitCode, Failure> {
    let GcArgs { max_size, grace, dry_run } = *args;
    let limits = EvictionLimits { max_size_bytes: max_size, grace };
    let (provisioner, output) = (invocation.local()?, invocation.output);
    let plan = provisioner.plan_eviction(&limits).await?;
    output.say_lines(Collected::new(&plan, true).lines())?;
    let done = if dry_run || plan.is_empty() { plan } else { provisioner.evict(&plan).await? };
    let collected = Collected::new(&done, dry_run);
    output.result(&collected, collected.summary())?;
    if done.over_bytes > 0 {
        output.warning(collected.shortfall());
    }
    if collected.keeps_idle_leftovers() {
        output.hint(leftover::HOW_TO_FREE);
    }
    if max_size.is_none() {
        output.hint("`--max-size SIZE` evicts models too, those with the oldest last use first");
    }
    Ok(ExitCode::SUCCESS)
}
