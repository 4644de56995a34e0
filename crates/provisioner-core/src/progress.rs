//! Tells a caller what the provisioner is doing.

use std::fmt;

use serde::Serialize;

use crate::clock::Timestamp;

/// Names one step of the work. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProgressEvent {
    /// The provisioner asks a source for the files of a reference.
    Resolving {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// Another process makes the same model present, and this one waits for it. The event comes again while the wait lasts.
    Waiting {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The process number of the other process, where that process has noted it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// The name of the program that the other process runs.
        #[serde(skip_serializing_if = "Option::is_none")]
        program: Option<String>,
        /// The name of the machine that the other process is on.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// When the other process began.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
        since: Option<Timestamp>,
        /// How many bytes of the model are on this machine.
        done_bytes: u64,
        /// How many bytes the other process has asked for so far.
        size_bytes: u64,
    },
    /// The source asks not to be called for a while, and this process waits. Files of one model that wait together share one
    /// pause. The event comes once, and again where the pause becomes longer.
    PauseStarted {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// Says what the source answered, as a text for a person.
        reason: String,
        /// The length of the pause that the source asks for, in milliseconds.
        pause_ms: u64,
    },
    /// The pause that the source asked for is over, or the caller gave up.
    PauseEnded {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// The provisioner knows which files of a model it must fetch, and begins.
    FetchPlanned {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The number of files to fetch.
        files: usize,
        /// The size of all these files, in bytes.
        total_bytes: u64,
        /// How many of those bytes an earlier transfer left on this machine, as far as the disk tells.
        present_bytes: u64,
    },
    /// The provisioner begins to fetch a file.
    FetchStarted {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The path of the file in the model.
        path: String,
        /// The size of the file, in bytes.
        size_bytes: u64,
    },
    /// An earlier transfer left a part of the file, and this transfer resumes it. The event comes right after the start of
    /// the file.
    FetchResumed {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The path of the file in the model.
        path: String,
        /// How many bytes of the file are on this machine.
        present_bytes: u64,
        /// The size of the file, in bytes.
        size_bytes: u64,
    },
    /// More bytes of a file arrived. The count never goes back.
    Fetched {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The path of the file in the model.
        path: String,
        /// How many bytes of the file are on this machine.
        done_bytes: u64,
        /// The size of the file, in bytes.
        size_bytes: u64,
    },
    /// A file is on this machine, or the provisioner gave it up.
    FetchEnded {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The path of the file in the model.
        path: String,
    },
    /// The provisioner begins to verify several models.
    VerifyStarted {
        /// The number of models to verify.
        models: usize,
        /// The size of all these models, in bytes.
        total_bytes: u64,
    },
    /// The provisioner has verified all of these models.
    VerifyEnded {
        /// The number of models that it verified.
        models: usize,
    },
    /// The provisioner begins to hash the files of a model.
    HashStarted {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The number of files to hash.
        files: usize,
        /// The size of all these files, in bytes.
        total_bytes: u64,
    },
    /// The provisioner hashed more bytes. The count is of the whole model, and never goes back.
    Hashed {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// How many bytes the provisioner has hashed so far.
        done_bytes: u64,
        /// The size of all files of the model, in bytes.
        total_bytes: u64,
    },
    /// The provisioner has hashed all files of a model, or gave up.
    HashEnded {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// A model is ready for an engine.
    Ready {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// Says whether the provisioner fetched nothing.
        cached: bool,
    },
}

/// Receives the events of the work.
///
/// # Contract
/// Several threads call it, in the middle of the work. It returns quickly and does not panic.
///
/// ```
/// use provisioner_core::{ProgressEvent, ProgressSink};
///
/// #[derive(Debug)]
/// struct Stderr;
///
/// impl ProgressSink for Stderr {
///     fn on_event(&self, event: &ProgressEvent) {
///         if let ProgressEvent::Ready { id, cached } = event {
///             eprintln!("{id} is ready{}", if *cached { ", and was there" } else { "" });
///         }
///     }
/// }
/// ```
pub trait ProgressSink: fmt::Debug + Send + Sync + 'static {
    /// Receives one event of the work.
    fn on_event(&self, event: &ProgressEvent);
}

/// Drops every event that it receives.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn on_event(&self, _: &ProgressEvent) {}
}
