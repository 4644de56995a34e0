//! Retires a model: every call refuses it until the operator activates it.

use std::process::ExitCode;

use crate::{
    args::IdArgs,
    output::{documents::changed::Changed, failure::Failure},
    session::{Session, parse},
};

/// Retires a model.
///
/// # Errors
/// Where the catalog has no record of the model, or it cannot be changed.
pub(super) async fn run(session: &Session, args: &IdArgs) -> Result<ExitCode, Failure> {
    let provisioner = session.local()?;
    let record = provisioner.retire(&parse(&provisioner, &args.id).await?).await?;
    let changed = Changed::lifecycle(record);
    session.output.result(&changed, changed.text())?;
    Ok(ExitCode::SUCCESS)
}
