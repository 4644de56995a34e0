//! Shows the lines about a model.

use std::{ffi::OsStr, process::ExitCode};

use model_provisioner::ErrorCode;

use crate::{
    invocation::{Invocation, parse},
    output::{documents::provenance::shown::Shown, failure::Failure, text::counted},
};

/// Prints the lines, oldest first.
///
/// # Errors
/// Where no line is about the model, or the log cannot be read.
pub(super) async fn run(invocation: &Invocation, id: &OsStr) -> Result<ExitCode, Failure> {
    let provisioner = invocation.local()?;
    let found = provisioner.provenance_lines(&parse(&provisioner, id).await?).await?;
    if found.lines.is_empty() {
        let message = format!("no line of the provenance log is about `{}`", found.id);
        return Err(Failure::new(ErrorCode::NotInCatalog, message));
    }
    let shown = Shown::from(found);
    if shown.left_out > 0 {
        invocation
            .output
            .warning(format_args!("{} before these are left out", counted(shown.left_out, "line")));
    }
    invocation.output.result(&shown, shown.text())?;
    Ok(ExitCode::SUCCESS)
}
