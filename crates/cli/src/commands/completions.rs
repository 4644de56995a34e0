//! Prints completions for shells.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    args::Args,
    output::{failure::Failure, printer::Printer},
};

/// Prints the script that makes a shell complete the command.
///
/// # Errors
/// Where standard output cannot be written.
pub(super) fn run(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "model-provisioner", &mut script);
    // The generator for bash writes the hyphen of the name in two ways, and then finds no subcommand.
    let script = String::from_utf8_lossy(&script).replace("model__subcmd__provisioner", "model__provisioner");
    Printer::raw(script.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
