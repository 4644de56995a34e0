//! Arguments of the subcommands that make models present, or say what that would fetch.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::{hub::HubOptions, inspect::MemoryArgs, signature::SignatureOptions};

#[derive(Debug, Args)]
pub(crate) struct EnsureArgs {
    /// Model references: paths of files, of folders or of any shard of a set, or `hf:org/repo…`, `hf.co/…` or a page of the Hub;
    /// with `--locked` and none, every model of the lock file
    #[arg(required_unless_present = "locked", value_name = "REF")]
    pub(crate) references: Vec<OsString>,
    /// Write a statement about each model into this folder, as `attest` makes it
    #[arg(long, value_name = "DIR")]
    pub(crate) attest: Option<PathBuf>,
    /// Sign those statements with this private key
    #[arg(long, value_name = "KEY", requires = "attest")]
    pub(crate) attest_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: EnsureOptions,
}

// What the caller demands of a model, and where its handoff goes.
#[derive(Debug, Args)]
pub(crate) struct EnsureOptions {
    /// The SHA-256 that the file must have
    #[arg(long, value_name = "HEX", conflicts_with = "digest")]
    pub(crate) sha256: Option<String>,
    /// The digest that the model must have: sha256, git-sha1, or sha256-tree for a set
    #[arg(long, value_name = "ALGO:HEX")]
    pub(crate) digest: Option<String>,
    /// Refuse a model that nothing proves
    #[arg(long)]
    pub(crate) strict: bool,
    /// Take the revision and the bytes that this lock file pins, and ask no source for a revision
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sha256", "digest", "refresh", "fit"])]
    pub(crate) locked: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signature: SignatureOptions,
    /// Write the handoff for an engine
    #[arg(long, value_name = "PATH")]
    pub(crate) handoff: Option<PathBuf>,
    /// Look whether the branch moved, and follow it
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Take the best of a repository's models that fits into `--vram`
    #[arg(long, requires = "vram")]
    pub(crate) fit: bool,
    // Each of these is for the choice.
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) hub: HubOptions,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Model references; with `--locked` and none, every model of the lock file
    #[arg(required_unless_present = "locked", value_name = "REF")]
    pub(crate) references: Vec<OsString>,
    /// Plan what this lock file pins, without a question to any source
    #[arg(long, value_name = "FILE", conflicts_with = "fit")]
    pub(crate) locked: Option<PathBuf>,
    /// Plan the best of a repository's models that fits into `--vram`
    #[arg(long, requires = "vram")]
    pub(crate) fit: bool,
    #[command(flatten)]
    pub(crate) signature: SignatureOptions,
    // Without `--fit` and with any of these, the command says of each model that a reference may mean whether it fits.
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) hub: HubOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ProvisionArgs {
    /// The config, in YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Take the revision and the bytes that this lock file pins [default: the one that the config names]
    #[arg(long, value_name = "FILE")]
    pub(crate) locked: Option<PathBuf>,
    /// Where the handoff goes [default: what the config says, or .runtime/engines/llamacpp.json]
    #[arg(long, value_name = "PATH")]
    pub(crate) handoff: Option<PathBuf>,
}
