//! Checks the provenance log.

use std::process::ExitCode;

use model_provisioner::{ErrorCode, ProvenanceCheck};

use crate::{
    args::ProvenanceVerifyArgs,
    exit,
    invocation::Invocation,
    output::{documents::provenance::checked::Checked, failure::Failure},
};

/// Prints `ok` and the last line, or what is wrong.
///
/// # Errors
/// Where the log or a handoff of the caller cannot be read. What is wrong is part of the document, and of the exit status.
pub(super) async fn run(invocation: &Invocation, args: ProvenanceVerifyArgs) -> Result<ExitCode, Failure> {
    let ProvenanceVerifyArgs { checkpoint, handoffs } = args;
    let check = ProvenanceCheck { checkpoint, handoffs };
    let report = invocation.local()?.provenance_verify(&check).await?;
    let checked = Checked::from(&report);
    invocation.output.result(&checked, checked.text())?;
    if report.is_sound() {
        invocation.output.say(checked.summary());
        return Ok(ExitCode::SUCCESS);
    }
    invocation.output.hint(checked.next_step());
    Ok(exit::status(ErrorCode::ProvenanceWrong))
}
