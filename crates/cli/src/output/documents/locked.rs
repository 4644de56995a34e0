//! Defines the documents of `lock` and of `lock --check`.

use std::path::PathBuf;

use indicatif::HumanBytes;
use model_provisioner::LockedModel;
use serde::Serialize;

use crate::output::failure::Failure;

/// Says what the command wrote into a lock file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Locked {
    /// The path of the lock file.
    lockfile: PathBuf,
    /// The models that the command locked. Others of the file are as they were.
    models: Vec<LockedEntry>,
}

/// Describes one locked model.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LockedEntry {
    /// The reference, as the lock file has it.
    #[serde(rename = "ref")]
    reference: String,
    /// The locked revision, where the source has revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// The `sha256-tree` of the files, in hex.
    dir_hash: String,
    /// How many files the model has.
    files: usize,
    /// The size of all files, in bytes.
    size_bytes: u64,
    /// Whether the entry is new: `added`, `changed` or `unchanged`.
    change: Change,
}

/// Says how an entry of a lock file changed.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    Added,
    Changed,
    Unchanged,
}

impl LockedEntry {
    pub(crate) fn new(model: &LockedModel, change: Change) -> Self {
        Self {
            reference: model.reference().id(),
            revision: model.revision().map(str::to_owned),
            dir_hash: model.tree().hex(),
            files: model.files().len(),
            size_bytes: model.size_bytes(),
            change,
        }
    }

    fn line(&self) -> String {
        let change = match self.change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Unchanged => "unchanged",
        };
        let revision = self.revision.as_ref().map(|revision| format!(" at {revision}")).unwrap_or_default();
        format!("{change:9}  {}{revision} ({})", self.reference, HumanBytes(self.size_bytes))
    }
}

impl Locked {
    pub(crate) fn new(lockfile: PathBuf, models: Vec<LockedEntry>) -> Self {
        Self { lockfile, models }
    }

    /// Returns the entries for people, one a line.
    pub(crate) fn text(&self) -> String {
        self.models.iter().map(LockedEntry::line).collect::<Vec<_>>().join("\n")
    }
}

/// Says which locked references have moved on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CheckedLock {
    /// The path of the lock file.
    lockfile: PathBuf,
    /// Every model of the lock file.
    models: Vec<CheckedEntry>,
}

/// Says whether one locked reference has moved on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CheckedEntry {
    /// The reference, as the lock file has it.
    #[serde(rename = "ref")]
    reference: String,
    /// Whether it means what is locked: `current`, `moved`, or `failed` where the source could not be asked.
    state: CheckedState,
    /// The locked revision, where the source has revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<String>,
    /// The revision that the source names now, where the reference has moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    /// Why the source could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// Says what became of a locked reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckedState {
    Current,
    Moved,
    Failed,
}

impl CheckedEntry {
    pub(crate) fn current(model: &LockedModel) -> Self {
        let locked = model.revision().map(str::to_owned);
        let reference = model.reference().id();
        Self { reference, state: CheckedState::Current, locked, current: None, error: None }
    }

    pub(crate) fn moved(model: &LockedModel, revision: Option<String>) -> Self {
        Self { state: CheckedState::Moved, current: revision, ..Self::current(model) }
    }

    pub(crate) fn failed(model: &LockedModel, failure: Failure) -> Self {
        Self { state: CheckedState::Failed, error: Some(failure), ..Self::current(model) }
    }

    fn line(&self) -> String {
        let state = match self.state {
            CheckedState::Current => "current",
            CheckedState::Moved => "moved",
            CheckedState::Failed => "FAILED",
        };
        let revisions = match (&self.locked, &self.current) {
            (Some(locked), Some(current)) => format!(" from {locked} to {current}"),
            _ => String::new(),
        };
        format!("{state:7}  {}{revisions}", self.reference)
    }
}

impl CheckedLock {
    pub(crate) fn new(lockfile: PathBuf, models: Vec<CheckedEntry>) -> Self {
        Self { lockfile, models }
    }

    /// Returns whether a reference has moved on.
    pub(crate) fn has_moved(&self) -> bool {
        self.models.iter().any(|entry| entry.state == CheckedState::Moved)
    }

    /// Returns the entries for people, one a line.
    pub(crate) fn text(&self) -> String {
        self.models.iter().map(CheckedEntry::line).collect::<Vec<_>>().join("\n")
    }
}
