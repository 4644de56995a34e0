//! Says what ensuring models would fetch.

use std::process::ExitCode;

use super::fit;
use crate::{
    args::PlanArgs,
    invocation::{Invocation, guessing, parse_with},
    output::{documents::planned::Planned, failure::Failure},
};

/// Prints the plan of each model.
///
/// # Errors
/// Where a reference cannot be planned.
pub(super) async fn run(invocation: &Invocation, args: &PlanArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.fetching(&args.hub)?;
    let mut plans = Vec::new();
    for reference in &args.references {
        let mut parsed = parse_with(&provisioner, reference, &args.hub).await?;
        if args.fit {
            parsed = fit::choose(invocation, &provisioner, &parsed, reference, args.memory).await?;
        }
        let plan = provisioner.plan(&parsed).await;
        plans.push(Planned::from(plan.map_err(|error| guessing(error, reference))?));
    }
    let text = plans.iter().map(Planned::text).collect::<Vec<_>>().join("\n");
    invocation.output.one_or_several(&plans, text)?;
    Ok(ExitCode::SUCCESS)
}
