//! The arguments.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};
use clap_complete::Shell;
use model_provisioner::AdoptMode;

use crate::{
    inspect::{Inspect, MemoryArgs},
    progress::Screen,
};

const GLOBAL: &str = "Global options";

const EXAMPLES: &str = "\
Examples:
  model-provisioner ensure /models/a.gguf
      records the model and prints its path
  model-provisioner ensure /models/a.gguf --sha256 9f86d081… --strict --handoff engine.json
      refuses any other bytes, and writes what an engine starts from
  model-provisioner ensure hf:org/repo:Q4_K_M
      fetches that quantization from the Hugging Face Hub, verified and resumable
  model-provisioner provision --config model.yaml
      the same, from a config
  model-provisioner inspect hf:org/repo:Q4_K_M --ctx 8192 --vram 24GiB
      says what it is and whether it fits, and fetches nothing but headers
  model-provisioner list --json | jq -r '.[].id'

Exit status:
  0 done            4 verification failed     8 storage
  1 other failure   5 denied, or retired      9 busy
  2 usage           6 source unavailable      126, 127 the program of `run` cannot be run, is absent
  3 not found       7 authentication          130 interrupted";

const RUN_EXAMPLES: &str = "\
Examples:
  model-provisioner run hf:org/repo:Q4_K_M -- llama-server -m {path} --port 8080
      fetches the model if need be, and becomes the engine: same process, signals and exit status
  model-provisioner run /models/a.gguf --supervise -- sudo -u llm llama-server -m {path}
      stays beside an engine whose starter would close the lease
  model-provisioner run hf:org/repo:Q4_K_M
      prints the path, and keeps the model until its standard input closes

In the program and its arguments, {path}, {id}, {handoff} and {mmproj} are filled in; a model without a projector has no
{mmproj}. Without --handoff, {handoff} is a file of that model's own below .runtime/engines in the working directory; where
it is not used, the handoff goes to .runtime/engines/llamacpp.json there, if that can be written.

Exit status:
  that of the program; 126 where it cannot be executed, 127 where it does not exist";

const INSPECT_EXAMPLES: &str = "\
Examples:
  model-provisioner inspect /models/a.gguf
      says what the model is, and what its weights and one token need
  model-provisioner inspect hf:org/repo:Q4_K_M --ctx 8192 --parallel 4 --kv-type q8_0 --vram 24GiB
      says whether four sequences of 8192 tokens fit, and the longest that would; fetches nothing but headers
  model-provisioner inspect /models/a.gguf --ctx 8192 --vram 24GiB --json | jq .fit.fits
      true, false, or null where that is not known; then .fit.reason says why

Buffers for computing are not counted: give less than the card has.";

/// Give it a model reference; get back a verified local path, a catalog record and a handoff that an engine can start
/// from.
#[derive(Debug, Parser)]
#[command(name = "model-provisioner", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Common {
    /// The cache folder [default: ~/.cache/models]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR", env = "MODEL_PROVISIONER_CACHE_DIR")]
    pub(crate) cache_dir: Option<OsString>,
    /// Never use the network (also `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`)
    #[arg(long, global = true, help_heading = GLOBAL, env = "MODEL_PROVISIONER_OFFLINE", value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// How long to wait for another process, such as 500ms, 30s or 2m, and for a hub that asks to wait [default: 10s; as long as
    /// it gets on with a model; 330s for a hub]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "TIME", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Print one JSON document
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// How to show progress on standard error
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) progress: Progress,
    /// Show neither warnings nor progress
    #[arg(short, long, global = true, help_heading = GLOBAL, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say what is being done
    #[arg(short, long, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Where progress is shown.
    #[arg(skip)]
    pub(crate) screen: Arc<Screen>,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// Bars on a terminal, nothing elsewhere
    #[default]
    Auto,
    /// Nothing
    None,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make models present, and print their paths
    Ensure(Ensure),
    /// Make a model present, keep it from being taken away, write its handoff, and become its engine
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Say what ensuring models would fetch, or which of a repository's models fit; moves nothing
    Plan {
        /// Model references
        #[arg(required = true, value_name = "REF")]
        references: Vec<OsString>,
        /// Says, of each model that a reference may mean, whether it fits
        #[command(flatten)]
        demand: MemoryArgs,
        #[command(flatten)]
        hub: Hub,
    },
    /// Make the model of a config present, write its handoff, and print where
    Provision {
        /// The config, in YAML or JSON
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where the handoff goes [default: what the config says, or .runtime/engines/llamacpp.json]
        #[arg(long, value_name = "PATH")]
        handoff: Option<PathBuf>,
    },
    /// List the catalog, as it is recorded
    List,
    /// Show what the catalog keeps of a model, and whether its files changed since
    Show {
        /// The model's id, or any reference to it
        id: OsString,
    },
    /// Read all bytes of recorded models, and compare them with their digests
    Verify {
        /// The models' ids
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<OsString>,
        /// Every model in the catalog
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Keep a model, and refuse it until it is activated
    Retire {
        /// The model's id
        id: OsString,
    },
    /// Make a retired model usable again
    Activate {
        /// The model's id
        id: OsString,
    },
    /// Remove a model from the catalog; files that are yours stay
    Remove {
        /// The model's id
        id: OsString,
    },
    /// Take a file or folder into the store, or a model that was exported
    Import(Import),
    /// Copy a model into a folder, for a machine without network
    Export {
        /// The model's id
        id: OsString,
        /// The folder; absent, or empty
        dir: PathBuf,
    },
    /// Say what a model is, from its headers, and what memory it needs; fetches no more than these
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(Inspect),
    /// Free what nobody needs, and evict the models that were not used for the longest time
    Gc {
        /// The most that the store may take, such as 200G; without it, no model is evicted
        #[arg(long, value_name = "SIZE", value_parser = size_or_none)]
        max_size: Option<u64>,
        /// How long a model is left alone after its last use
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
        grace: Duration,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Say how the cache is, and what is wrong with it
    Doctor {
        /// Mend it, and touch nothing of a live process nor what is yours
        #[arg(long)]
        fix: bool,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Ensure {
    /// Model references: paths of files, of folders or of any shard of a set, or `hf:org/repo…`
    #[arg(required = true, value_name = "REF")]
    pub(crate) references: Vec<OsString>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// A model reference: a path, or `hf:org/repo…`
    #[arg(value_name = "REF")]
    pub(crate) reference: OsString,
    #[command(flatten)]
    pub(crate) how: How,
    /// Stay beside the program, where it or its starter would close the lease
    #[arg(long, requires = "program")]
    pub(crate) supervise: bool,
    /// The program to become, and its arguments
    #[arg(last = true, value_names = ["PROGRAM", "ARGS"])]
    pub(crate) program: Vec<OsString>,
}

/// What a model must be, and what is written of it.
#[derive(Debug, ClapArgs)]
pub(crate) struct How {
    /// The SHA-256 that the file must have
    #[arg(long, value_name = "HEX", conflicts_with = "digest")]
    pub(crate) sha256: Option<String>,
    /// The digest that the model must have: sha256, git-sha1, or sha256-tree for a set
    #[arg(long, value_name = "ALGO:HEX")]
    pub(crate) digest: Option<String>,
    /// Refuse a model that nothing proves
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write the handoff for an engine
    #[arg(long, value_name = "PATH")]
    pub(crate) handoff: Option<PathBuf>,
    /// Look whether the branch moved, and follow it
    #[arg(long)]
    pub(crate) refresh: bool,
    #[command(flatten)]
    pub(crate) hub: Hub,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Import {
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
    /// How the files get into the store; those at the path stay as they are
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) adopt: ImportMode,
}

/// How files that are imported get into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportMode {
    /// By hard links, which take no space: then the store has the same files, and they must not be changed. By copies from
    /// another file system
    #[default]
    Link,
    /// By copies, which nobody else can change
    Copy,
}

impl From<ImportMode> for AdoptMode {
    fn from(how: ImportMode) -> Self {
        match how {
            ImportMode::Link => Self::Link,
            ImportMode::Copy => Self::Copy,
        }
    }
}

/// What of a repository, and how to fetch it.
#[derive(Debug, ClapArgs)]
pub(crate) struct Hub {
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
    pub(crate) adopt: Adopt,
    /// The most bytes in a second, such as 50M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) limit_rate: Option<u64>,
}

/// How files that other tools have on this machine are taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Adopt {
    /// Hard links, and copies where there can be none
    #[default]
    Link,
    /// Copies, which nobody else can change
    Copy,
    /// Fetch them all the same
    Off,
}

impl From<Adopt> for AdoptMode {
    fn from(adopt: Adopt) -> Self {
        match adopt {
            Adopt::Link => Self::Link,
            Adopt::Copy => Self::Copy,
            Adopt::Off => Self::Off,
        }
    }
}

/// A number of bytes: plain, or with K, M, G or T, and `i` for the powers of two.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].trim_end_matches(['b', 'B']).to_ascii_uppercase();
    let scale = match unit.as_str() {
        "" => 1,
        "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "KI" => 1 << 10,
        "MI" => 1 << 20,
        "GI" => 1 << 30,
        "TI" => 1 << 40,
        _ => return Err("a size is written 500K, 50M or 2GiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a size is written 500K, 50M or 2GiB".to_owned())?;
    match number.checked_mul(scale) {
        Some(0) => Err("it must be more than nothing".to_owned()),
        size => size.ok_or_else(|| "it is more than can be counted".to_owned()),
    }
}

/// A number of bytes that may be none.
fn size_or_none(text: &str) -> Result<u64, String> {
    if text == "0" { Ok(0) } else { size(text) }
}

fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "a time is written 500ms, 30s or 2m".to_owned())?;
    parsed.try_into().map_err(|_| "a time cannot be negative".to_owned())
}
