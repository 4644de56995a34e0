//! Arguments of the subcommands that read the provenance log.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Subcommand};
use model_provisioner::LinePosition;

#[derive(Debug, Args)]
pub(crate) struct ProvenanceArgs {
    #[command(subcommand)]
    pub(crate) command: ProvenanceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProvenanceCommand {
    /// Check that no line of the log was changed, removed, repeated or moved, and that each handoff's line is in it
    Verify(ProvenanceVerifyArgs),
    /// Show the lines about a model
    Show {
        /// The model's id, or any reference to it
        id: OsString,
    },
    /// Print the number and the hash of the last line, to be kept outside of the log
    Checkpoint,
}

#[derive(Debug, Args)]
pub(crate) struct ProvenanceVerifyArgs {
    /// A line that the log must still have, as `provenance checkpoint` printed it; without one, a cut tail shows only in a handoff
    #[arg(long, value_name = "SEQ:HASH")]
    pub(crate) checkpoint: Option<LinePosition>,
    /// A handoff whose line the log must have, beside those that the log names; may be given several times
    #[arg(long = "handoff", value_name = "PATH")]
    pub(crate) handoffs: Vec<PathBuf>,
}
