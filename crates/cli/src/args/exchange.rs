//! Arguments of the subcommands that carry models from one machine to another.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};
use model_provisioner::AdoptMode;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A file, a folder, any shard of a set, or a folder that `export` made
    pub(crate) path: PathBuf,
    /// The id to give it, such as hf:org/repo/a.gguf [default: what an exported folder says]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<OsString>,
    /// The SHA-256 that the file must have
    #[arg(long, value_name = "HEX", conflicts_with = "digest")]
    pub(crate) sha256: Option<String>,
    /// The digest that the model must have: sha256, git-sha1, or sha256-tree for a set
    #[arg(long, value_name = "ALGO:HEX")]
    pub(crate) digest: Option<String>,
    /// How the store gets the files; those at the path stay as they are
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) adopt: ImportMode,
}

/// Chooses how imported files get into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportMode {
    /// By hard links, which take no space: the store then has the same files, and no program may change them. By copies from
    /// another file system
    #[default]
    Link,
    /// By copies, which no other program changes
    Copy,
}

impl From<ImportMode> for AdoptMode {
    fn from(mode: ImportMode) -> Self {
        match mode {
            ImportMode::Link => Self::Link,
            ImportMode::Copy => Self::Copy,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The model's id
    pub(crate) id: OsString,
    /// The folder to write, which must be absent or empty
    pub(crate) dir: PathBuf,
}
