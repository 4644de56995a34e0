//! Options that every subcommand takes.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::FalseyValueParser};

use super::units::duration;
use crate::environment::Variable;

const HEADING: &str = "Global options";

// The struct has a plain comment: clap would print a doc comment as help. It holds what every subcommand takes.
#[derive(Debug, Args)]
pub(crate) struct GlobalOptions {
    /// The cache folder [default: ~/.cache/models]
    #[arg(long, global = true, help_heading = HEADING, value_name = "DIR", env = Variable::CacheDir.name())]
    pub(crate) cache_dir: Option<OsString>,
    /// Keep to the policy of this file too (again for more; also `MODEL_PROVISIONER_POLICY`): no option and no config loosens it
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    pub(crate) policy: Vec<PathBuf>,
    /// Never use the network (also `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`)
    #[arg(long, global = true, help_heading = HEADING, env = Variable::Offline.name(), value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// How long to wait for another process, such as 500ms, 30s or 2m, and for a hub that asks to wait [default: 10s; as long as
    /// it gets on with a model; 330s for a hub]
    #[arg(long, global = true, help_heading = HEADING, value_name = "TIME", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Print one JSON document
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) json: bool,
    /// How to show progress on standard error
    #[arg(long, global = true, help_heading = HEADING, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) progress: ProgressMode,
    /// Show neither warnings nor progress
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say what the command is doing; twice, with what the network client does
    #[arg(short, long, global = true, help_heading = HEADING, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Chooses how the command shows progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, nothing elsewhere
    #[default]
    Auto,
    /// Nothing
    None,
    /// One JSON object a line
    Json,
}
