//! Reads the provenance log.

mod checkpoint;
mod show;
mod verify;

use std::process::ExitCode;

use crate::{
    args::{ProvenanceArgs, ProvenanceCommand},
    invocation::Invocation,
    output::failure::Failure,
};

/// Runs a subcommand of `provenance`.
///
/// # Errors
/// What that subcommand fails with.
pub(super) async fn run(invocation: &Invocation, args: ProvenanceArgs) -> Result<ExitCode, Failure> {
    match args.command {
        ProvenanceCommand::Verify(args) => verify::run(invocation, args).await,
        ProvenanceCommand::Show { id } => show::run(invocation, &id).await,
        ProvenanceCommand::Checkpoint => checkpoint::run(invocation).await,
    }
}
