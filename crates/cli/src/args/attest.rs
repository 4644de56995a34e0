//! Arguments of the subcommand that states what is recorded of a model.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};
use model_provisioner::StatementFormat;

#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    /// The model's id, or any reference to it
    pub(crate) id: OsString,
    /// What is stated
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: StatementKind,
    #[command(flatten)]
    pub(crate) signer: SignerOptions,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

// Who states it.
#[derive(Debug, Args)]
pub(crate) struct SignerOptions {
    /// Sign with this private key: a file in PEM, on P-256, P-384 or P-521; an unsigned statement proves nothing
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) key: Option<PathBuf>,
    /// The URI of who verified the model, such as your organisation's
    #[arg(long, value_name = "URI")]
    pub(crate) verifier: Option<String>,
}

/// Names what is stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatementKind {
    /// Who verified which bytes, and how their digests were known: in-toto with a SLSA verification summary
    #[default]
    Vsa,
    /// What the model consists of: a CycloneDX 1.6 bill of materials, always the same for the same model
    Cyclonedx,
}

impl From<StatementKind> for StatementFormat {
    fn from(kind: StatementKind) -> Self {
        match kind {
            StatementKind::Vsa => Self::Vsa,
            StatementKind::Cyclonedx => Self::CycloneDx,
        }
    }
}
