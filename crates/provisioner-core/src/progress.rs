//! What is going on, for whoever wants to show it.

use std::fmt;

use serde::Serialize;

use crate::clock::Timestamp;

/// Something that happened. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProgressEvent {
    /// A reference is being looked up at its source.
    Resolving {
        /// The model.
        id: String,
    },
    /// Another process is making the same model present, and this one waits for it. It is told now and then.
    Waiting {
        /// The model.
        id: String,
        /// The other process, where it says so.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// What it runs.
        #[serde(skip_serializing_if = "Option::is_none")]
        program: Option<String>,
        /// The machine that it is on.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Since when it is at work.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
        since: Option<Timestamp>,
        /// How much is here.
        done_bytes: u64,
        /// Of how much, as far as it was asked for.
        size_bytes: u64,
    },
    /// The source asks to be left alone for a while, and this process waits for that. Files of one model that wait together
    /// are one pause, which is told once, and again where it becomes longer.
    PauseStarted {
        /// The model.
        id: String,
        /// What the source answered.
        reason: String,
        /// How long the source asks to be left alone.
        pause_ms: u64,
    },
    /// The source was left alone for as long as it asked, or the work was given up.
    PauseEnded {
        /// The model.
        id: String,
    },
    /// The files of a model that have to be fetched are known, and begin to be fetched.
    FetchPlanned {
        /// The model.
        id: String,
        /// How many files.
        files: usize,
        /// Their size together.
        total_bytes: u64,
        /// How much of that an earlier transfer left here, as far as the disk tells.
        present_bytes: u64,
    },
    /// A file begins to be fetched.
    FetchStarted {
        /// The model.
        id: String,
        /// The file's place in the model.
        path: String,
        /// Its size.
        size_bytes: u64,
    },
    /// Part of a file is here from an earlier transfer, and this one goes on from there. It comes right after the file's
    /// start.
    FetchResumed {
        /// The model.
        id: String,
        /// The file's place in the model.
        path: String,
        /// How much is here.
        present_bytes: u64,
        /// Of how much.
        size_bytes: u64,
    },
    /// More of a file is here. The count never goes back.
    Fetched {
        /// The model.
        id: String,
        /// The file's place in the model.
        path: String,
        /// How much is here.
        done_bytes: u64,
        /// Of how much.
        size_bytes: u64,
    },
    /// A file is here, or was given up.
    FetchEnded {
        /// The model.
        id: String,
        /// The file's place in the model.
        path: String,
    },
    /// Several models begin to be verified.
    VerifyStarted {
        /// How many.
        models: usize,
        /// Their size together.
        total_bytes: u64,
    },
    /// All of them were verified.
    VerifyEnded {
        /// How many.
        models: usize,
    },
    /// A model's files begin to be hashed.
    HashStarted {
        /// The model.
        id: String,
        /// How many files.
        files: usize,
        /// Their size together.
        total_bytes: u64,
    },
    /// More bytes were hashed. The count is of the whole model and never goes back.
    Hashed {
        /// The model.
        id: String,
        /// How many so far.
        done_bytes: u64,
        /// Of how many.
        total_bytes: u64,
    },
    /// All files of a model were hashed, or the work was given up.
    HashEnded {
        /// The model.
        id: String,
    },
    /// A model is ready.
    Ready {
        /// The model.
        id: String,
        /// Whether nothing was fetched.
        cached: bool,
    },
}

/// Receives progress.
///
/// # Contract
/// It is called from several threads, in the middle of the work: it returns quickly and does not panic.
pub trait ProgressSink: fmt::Debug + Send + Sync + 'static {
    /// Takes note of an event.
    fn on_event(&self, event: &ProgressEvent);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn on_event(&self, _: &ProgressEvent) {}
}
