//! Arguments of the subcommands that read or change records.

use std::ffi::OsString;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The model's id, or any reference to it
    pub(crate) id: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The models' ids
    #[arg(required_unless_present = "all", value_name = "ID")]
    pub(crate) ids: Vec<OsString>,
    /// Every model in the catalog
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
}

// Arguments of `retire`, `activate` and `remove`.
#[derive(Debug, Args)]
pub(crate) struct IdArgs {
    /// The model's id
    pub(crate) id: OsString,
}
