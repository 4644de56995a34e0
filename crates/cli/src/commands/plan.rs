//! Says what ensuring models would fetch.

use std::process::ExitCode;

use model_provisioner::Expectation;

use super::{
    digest::signed,
    fit,
    locked::{lock_file, references},
};
use crate::{
    args::PlanArgs,
    exit,
    invocation::{Invocation, guessing, parse_with},
    output::{documents::planned::Planned, failure::Failure, printer::Printer},
};

/// Prints the plan of each model. Where the policy would end an ensure, the plan says so, and so does the exit status.
///
/// # Errors
/// Where a reference cannot be planned.
pub(super) async fn run(invocation: &Invocation, args: &PlanArgs) -> Result<ExitCode, Failure> {
    let lock = lock_file(args.locked.as_deref())?;
    let references = references(&args.references, lock.as_ref())?;
    let provisioner = invocation.fetching_locked(&args.hub, lock)?;
    let expectation = signed(Expectation::none(), &args.signature)?;
    let mut plans = Vec::new();
    for reference in &references {
        let mut parsed = parse_with(&provisioner, reference, &args.hub).await?;
        if args.fit {
            parsed = fit::choose(invocation, &provisioner, &parsed, reference, args.memory).await?;
        }
        let plan = provisioner.plan_expecting(&parsed, &expectation).await;
        plans.push(Planned::from(plan.map_err(|error| guessing(error, reference))?));
    }
    let text = plans.iter().map(Planned::text).collect::<Vec<_>>().join("\n");
    invocation.output.one_or_several(&plans, text)?;
    let refusals = || plans.iter().filter_map(|plan| plan.error.as_ref());
    refusals().for_each(Printer::failure_text);
    Ok(refusals().next().map_or(ExitCode::SUCCESS, |refusal| exit::status(refusal.code)))
}
