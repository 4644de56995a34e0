//! Downloads by the Hub's own command: `hf`, or `huggingface-cli` where there is no `hf`.
//!
//! # What runs where
//! [`HubCommandFetcher`] lists a model by the native client where this build has one, or else by what the command itself keeps of
//! the Hub's listing. Then the command downloads the chosen files into a scratch folder that the caller names. The caller takes
//! the listed files from there and verifies them, as it verifies all bytes.
//!
//! # Trust
//! The command is a program of another project, which runs as this user. So it gets the commit and not the branch, the names of the
//! listed files and no pattern of a stranger, an environment of listed variables (`variables`), and a home folder in the scratch
//! folder. Its output is bounded (`output`), its failures are told by their texts (`outcome`), and it does not outlive this process
//! (`supervisor`).

mod arguments;
mod environment;
mod fetcher;
mod install;
mod listing;
mod outcome;
mod output;
mod runner;
mod scratch;
mod settings;
mod supervisor;
mod variables;

pub use fetcher::HubCommandFetcher;
pub use settings::HubCommandSettings;
