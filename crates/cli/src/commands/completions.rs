//! Completions for shells.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Args, commands::Done, output::Output};

/// Prints the script that makes a shell complete the command.
pub(crate) fn print(shell: Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "model-provisioner", &mut script);
    // The generator for bash writes the hyphen of the name in two ways, and then finds no subcommand.
    let script = String::from_utf8_lossy(&script).replace("model__subcmd__provisioner", "model__provisioner");
    Output::raw(script.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
