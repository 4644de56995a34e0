//! Copies a model into a folder, for a machine without network.

use std::process::ExitCode;

use crate::{
    args::ExportArgs,
    invocation::{Invocation, parse},
    output::{documents::exported::Exported, failure::Failure},
};

/// Exports a model, and prints the folder.
///
/// # Errors
/// Where the catalog has no record of the model, or the folder cannot be written.
pub(super) async fn run(invocation: &Invocation, args: &ExportArgs) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let record = provisioner.export(&parse(&provisioner, &args.id).await?, &args.dir).await?;
    let exported = Exported::from(record);
    invocation.output.paths(&exported, exported.dir.display())?;
    Ok(ExitCode::SUCCESS)
}
