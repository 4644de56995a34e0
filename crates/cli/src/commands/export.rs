//! Copies a model into a folder, for a machine without network.

use std::process::ExitCode;

use crate::{
    args::ExportArgs,
    output::{documents::exported::Exported, failure::Failure},
    session::{Session, parse},
};

/// Exports a model, and prints the folder.
///
/// # Errors
/// Where the catalog has no record of the model, or the folder cannot be written.
pub(super) async fn run(session: &Session, args: &ExportArgs) -> Result<ExitCode, Failure> {
    let provisioner = session.local()?;
    let record = provisioner.export(&parse(&provisioner, &args.id).await?, &args.dir).await?;
    let exported = Exported::from(record);
    session.output.paths(&exported, exported.dir.display())?;
    Ok(ExitCode::SUCCESS)
}
