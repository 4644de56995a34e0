//! Removes a model from the catalog, and what only it has from the store.

use std::process::ExitCode;

use crate::{
    args::IdArgs,
    invocation::{Invocation, parse},
    output::{documents::changed::Changed, failure::Failure},
};

/// Removes a model.
///
/// # Errors
/// Where there is neither a record nor a transfer of the model, a live process uses it, or the store cannot be changed.
pub(super) async fn run(invocation: &Invocation, args: &IdArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let reference = parse(&provisioner, &args.id).await?;
    let removed = Changed::removed(reference.id(), provisioner.purge(&reference).await?);
    invocation.output.result(&removed, removed.text())?;
    Ok(ExitCode::SUCCESS)
}
