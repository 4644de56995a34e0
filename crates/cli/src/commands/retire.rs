//! Retires a model: every call refuses it until the operator activates it.

use std::process::ExitCode;

use crate::{
    args::IdArgs,
    invocation::{Invocation, parse},
    output::{documents::changed::Changed, failure::Failure},
};

/// Retires a model.
///
/// # Errors
/// Where the catalog has no record of the model, or it cannot be changed.
pub(super) async fn run(invocation: &Invocation, args: &IdArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let record = provisioner.retire(&parse(&provisioner, &args.id).await?).await?;
    let changed = Changed::lifecycle(record);
    invocation.output.result(&changed, changed.text())?;
    Ok(ExitCode::SUCCESS)
}
