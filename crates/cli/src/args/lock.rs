//! Arguments of `lock`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::hub::HubOptions;

pub(super) const LOCK_EXAMPLES: &str = "\
Examples:
  model-provisioner lock hf:org/repo:Q4_K_M
      writes its revision and the SHA-256 of each file into models.lock, and leaves the other models there as they are
  model-provisioner ensure --locked models.lock
      makes every model of the file present, at that revision and with those bytes alone
  model-provisioner lock --check
      says which of them have moved on since
  model-provisioner lock --upgrade hf:org/repo:Q4_K_M
      pins what that one is now

Exit status of --check:
  0 none has moved; 1 one has; another one where a source could not be asked";

#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// Model references
    #[arg(required_unless_present_any = ["check", "upgrade"], value_name = "REF")]
    pub(crate) references: Vec<OsString>,
    /// The lock file
    #[arg(short, long, value_name = "FILE", default_value = "models.lock")]
    pub(crate) output: PathBuf,
    /// Say which references mean another revision now, and write nothing
    #[arg(long, conflicts_with_all = ["references", "upgrade"])]
    pub(crate) check: bool,
    /// Pin what the references of the file mean now: those that are named, or all
    #[arg(long)]
    pub(crate) upgrade: bool,
    #[command(flatten)]
    pub(crate) hub: HubOptions,
}
