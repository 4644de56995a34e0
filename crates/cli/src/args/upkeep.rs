//! Arguments of the subcommands that tend the cache.

use std::time::Duration;

use clap::Args;

use super::units::{duration, size_or_none};

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// The most that the store may take, such as 200G; without it, no model is evicted
    #[arg(long, value_name = "SIZE", value_parser = size_or_none)]
    pub(crate) max_size: Option<u64>,
    /// How long after its last use a model is safe from eviction
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
    pub(crate) grace: Duration,
    /// Say what `gc` would do, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Repair what is wrong; leave the files of live processes and your own alone
    #[arg(long)]
    pub(crate) fix: bool,
}
