//! Says what a model is, from its headers, and what memory it needs.

use std::process::ExitCode;

use crate::{
    args::InspectArgs,
    output::{documents::inspected::Inspected, failure::Failure},
    session::{Session, guessing, parse_with},
};

/// Prints what the headers of a model say.
///
/// # Errors
/// Where the headers cannot be read.
pub(super) async fn run(session: &Session, args: &InspectArgs) -> Result<ExitCode, Failure> {
    let provisioner = session.fetching(&args.hub)?;
    let reference = parse_with(&provisioner, &args.reference, &args.hub).await?;
    let inspected = provisioner.inspect(&reference).await;
    let inspection = inspected.map_err(|error| guessing(error, &args.reference))?;
    let request = args.memory.request();
    let fit = args.memory.is_given().then(|| inspection.memory.fit(&request));
    let memory = inspection.memory.clone();
    let inspected = Inspected::new(reference.id(), inspection, fit);
    session.output.result(&inspected, inspected.card(&memory, &request))?;
    Ok(ExitCode::SUCCESS)
}
