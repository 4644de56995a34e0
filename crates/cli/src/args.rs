//! Defines the command's arguments, one file for each family of subcommands.

mod attest;
mod catalog;
mod ensure;
mod exchange;
mod global;
mod hub;
mod inspect;
mod lock;
mod provenance;
mod run;
mod signature;
mod units;
mod upkeep;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::{
    attest::AttestArgs,
    catalog::{IdArgs, ShowArgs, VerifyArgs},
    ensure::{EnsureArgs, EnsureOptions, PlanArgs, ProvisionArgs},
    exchange::{ExportArgs, ImportArgs},
    global::{GlobalOptions, ProgressMode},
    hub::HubOptions,
    inspect::{InspectArgs, MemoryArgs},
    lock::LockArgs,
    provenance::{ProvenanceArgs, ProvenanceCommand, ProvenanceVerifyArgs},
    run::RunArgs,
    signature::SignatureOptions,
    upkeep::{DoctorArgs, GcArgs},
};
use self::{inspect::INSPECT_EXAMPLES, lock::LOCK_EXAMPLES, run::RUN_EXAMPLES};

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
  3 not found       7 authentication          130, 143 interrupted, terminated";

/// Give it a model reference; get back a verified local path, a catalog record and a handoff that an engine can start
/// from.
#[derive(Debug, Parser)]
#[command(name = "model-provisioner", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make models present, and print their paths
    Ensure(EnsureArgs),
    /// Make a model present, lease it, write its handoff, and become its engine
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Say what `ensure` would fetch, or which of a repository's models fit; fetches no weights
    Plan(PlanArgs),
    /// Pin references to revisions and digests in a lock file, or say which have moved on
    #[command(after_help = LOCK_EXAMPLES)]
    Lock(LockArgs),
    /// Make the model of a config present, write its handoff, and print where
    Provision(ProvisionArgs),
    /// List the records of the catalog
    List,
    /// Show the record of a model, and whether its files have changed since
    Show(ShowArgs),
    /// Read all bytes of recorded models, and compare them with their digests
    Verify(VerifyArgs),
    /// Keep a model, and refuse it until `activate`
    Retire(IdArgs),
    /// Make a retired model usable again
    Activate(IdArgs),
    /// Remove a model from the catalog; files that are yours stay
    Remove(IdArgs),
    /// Take a file, a folder or an exported model into the store
    Import(ImportArgs),
    /// Copy a model into a folder, for a machine without network
    Export(ExportArgs),
    /// Say what a model is, from its headers, and what memory it needs; fetches headers alone
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectArgs),
    /// Free what no model needs, and evict the models with the oldest last use
    Gc(GcArgs),
    /// Check the cache, and say what is wrong with it
    Doctor(DoctorArgs),
    /// State what is recorded of a model, for your records or another tool
    Attest(AttestArgs),
    /// Check the log of what was done and why the bytes were trusted, or show a part of it
    Provenance(ProvenanceArgs),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}
