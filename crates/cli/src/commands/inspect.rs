//! Says what a model is, from its headers, and what memory it needs.

use std::process::ExitCode;

use crate::{
    args::InspectArgs,
    invocation::{Invocation, guessing, parse_with},
    output::{documents::inspected::Inspected, failure::Failure},
};

/// Prints what the headers of a model say.
///
/// # Errors
/// Where the headers cannot be read.
pub(super) async fn run(invocation: &Invocation, args: &InspectArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.fetching(&args.hub)?;
    let reference = parse_with(&provisioner, &args.reference, &args.hub).await?;
    let inspected = provisioner.inspect(&reference).await;
    let inspection = inspected.map_err(|error| guessing(error, &args.reference))?;
    let request = args.memory.request();
    let fit = args.memory.is_given().then(|| inspection.memory.fit(&request));
    let memory = inspection.memory.clone();
    let inspected = Inspected::new(reference.id(), inspection, fit);
    invocation.output.result(&inspected, inspected.card(&memory, &request))?;
    Ok(ExitCode::SUCCESS)
}
