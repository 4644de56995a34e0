//! Removes a model from the catalog, and what only it has from the store.

use std::process::ExitCode;

use crate::{
    args::IdArgs,
    output::{documents::changed::Changed, failure::Failure},
    session::{Session, parse},
};

/// Removes a model.
///
/// # Errors
/// Where there is neither a record nor a transfer of the model, a live process uses it, or the store cannot be changed.
pub(super) async fn run(session: &Session, args: &IdArgs) -> Result<ExitCode, Failure> {
    let provisioner = session.local()?;
    let reference = parse(&provisioner, &args.id).await?;
    let removed = Changed::removed(reference.id(), provisioner.purge(&reference).await?);
    session.output.result(&removed, removed.text())?;
    Ok(ExitCode::SUCCESS)
}
