//! Prints the last line's number and hash.

use std::process::ExitCode;

use model_provisioner::ErrorCode;

use crate::{
    invocation::Invocation,
    output::{documents::provenance::head::Head, failure::Failure},
};

/// Prints a checkpoint in one line.
///
/// # Errors
/// Where the log has no line, or cannot be read.
pub(super) async fn run(invocation: &Invocation) -> Result<ExitCode, Failure> {
    let Some(head) = invocation.local()?.provenance_head().await? else {
        let failure = Failure::new(ErrorCode::NotFound, "the provenance log has no line yet");
        return Err(failure.hinting(Some("`model-provisioner ensure` writes the first one".to_owned())));
    };
    let head = Head::from(head);
    invocation.output.result(&head, &head.checkpoint)?;
    Ok(ExitCode::SUCCESS)
}
