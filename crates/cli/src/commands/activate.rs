//! Makes a retired model usable again.

use std::process::ExitCode;

use crate::{
    args::IdArgs,
    invocation::{Invocation, parse},
    output::{documents::changed::Changed, failure::Failure},
};

/// Activates a model.
///
/// # Errors
/// Where the catalog has no record of the model, or it cannot be changed.
pub(super) async fn run(invocation: &Invocation, args: &IdArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let record = provisioner.activate(&parse(&provisioner, &args.id).await?).await?;
    let changed = Changed::lifecycle(record);
    invocation.output.result(&changed, changed.text())?;
    Ok(ExitCode::SUCCESS)
}
