//! Options that say what to fetch of a hub's repository, and how.

use std::time::Duration;

use clap::{Args, ValueEnum};
use model_provisioner::{AdoptMode, Via};

use super::units::{duration, size};

// What to fetch of a repository, and how.
#[derive(Debug, Args)]
pub(crate) struct HubOptions {
    /// The branch, tag or commit of a hub's repository
    #[arg(long, value_name = "REV")]
    pub(crate) revision: Option<String>,
    /// Take the repository's files that fit this pattern (again for more)
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out the repository's files that fit this pattern (again for more)
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// How long a connection may be silent [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// What to do with the same bytes in the cache of Hugging Face or in Ollama's, instead of fetching them
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) adopt: AdoptOption,
    /// The means of fetching from the Hugging Face Hub
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) via: ViaOption,
    /// The most bytes in a second, such as 50M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) limit_rate: Option<u64>,
}

impl HubOptions {
    /// Returns whether an option names a revision or patterns of files.
    pub(crate) fn selects(&self) -> bool {
        self.revision.is_some() || !self.include.is_empty() || !self.exclude.is_empty()
    }
}

/// Chooses how the store takes in files that other tools keep on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AdoptOption {
    /// Hard links, and copies where there can be none
    #[default]
    Link,
    /// Copies, which no other program changes
    Copy,
    /// Fetch them all the same
    Off,
}

/// Names the means of fetching from the Hugging Face Hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ViaOption {
    /// The client of this build, and the `hf` command where it has none
    #[default]
    Auto,
    /// The client of this build
    Native,
    /// The `hf` command of this machine, or `huggingface-cli`; what it brings is verified all the same
    HfCli,
}

impl From<ViaOption> for Via {
    fn from(option: ViaOption) -> Self {
        match option {
            ViaOption::Auto => Self::Auto,
            ViaOption::Native => Self::Native,
            ViaOption::HfCli => Self::HfCli,
        }
    }
}

impl From<AdoptOption> for AdoptMode {
    fn from(option: AdoptOption) -> Self {
        match option {
            AdoptOption::Link => Self::Link,
            AdoptOption::Copy => Self::Copy,
            AdoptOption::Off => Self::Off,
        }
    }
}
