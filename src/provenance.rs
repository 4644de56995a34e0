//! The append-only record of what was done and why it was trusted: `provenance.jsonl`, one JSON object a line.
//!
//! A line has `at` (RFC 3339), `action`, `id`, and what is known of: `local_path`, `digest`, `outcome`, `basis`,
//! `reason`, `cached`, `adopted` (an array of `{path, from, way}`), `config`, `handoff`. A process that dies while it writes leaves a line without an end; the next
//! writer ends it, and readers pass over what is no JSON.

use std::path::{Path, PathBuf};

use provisioner_core::{Basis, Digest, Outcome, Timestamp, Verification};
use serde::Serialize;

use crate::{Error, Result, adopt::Adoptee};

/// What was done.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    Ensure,
    Adopt,
    Import,
    Export,
    Verify,
    Provision,
    Retire,
    Activate,
    Remove,
    Evict,
}

/// One line.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) at: Timestamp,
    pub(crate) action: Action,
    pub(crate) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local_path: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) basis: Option<Basis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cached: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) adopted: Option<&'a [Adoptee]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handoff: Option<&'a Path>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(at: Timestamp, action: Action, id: &'a str) -> Self {
        Self {
            at,
            action,
            id,
            local_path: None,
            digest: None,
            outcome: None,
            basis: None,
            reason: None,
            cached: None,
            adopted: None,
            config: None,
            handoff: None,
        }
    }

    /// Says what was found.
    pub(crate) fn with_verification(mut self, verification: &'a Verification) -> Self {
        self.outcome = Some(verification.outcome);
        self.basis = verification.basis;
        self.reason = Some(&verification.reason);
        self
    }
}

/// The log of one cache.
#[derive(Clone, Debug)]
pub(crate) struct ProvenanceLog {
    path: PathBuf,
}

impl ProvenanceLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Appends a line for something that changed nothing. A cache that cannot be written goes without; it may
    /// block.
    pub(crate) fn note(&self, line: &Line<'_>) {
        if let Err(error) = self.append(line, false) {
            tracing::debug!("no line of provenance: {error}");
        }
    }

    /// Appends a line for something that changed the catalog, durably. What was changed stays changed when the disk
    /// fails in this moment, so that is a warning. It may block.
    pub(crate) fn record(&self, line: &Line<'_>) {
        if let Err(error) = self.append(line, true) {
            tracing::warn!("the provenance log lacks a line of `{}`: {error}", line.id);
        }
    }

    /// Makes sure that lines can be appended, before anything is done that has to be. It may block.
    pub(crate) fn check(&self) -> Result<()> {
        self.told(durable_fs::create_folders(self.path.parent().unwrap_or(&self.path)))?;
        self.told(durable_fs::check_appendable(&self.path))
    }

    fn told(&self, done: durable_fs::Result<()>) -> Result<()> {
        done.map_err(|error| match error {
            // A folder that cannot be made is no model that is missing.
            durable_fs::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Error::storage("the provenance log cannot be written", std::io::Error::other(error))
            }
            durable_fs::Error::Io(error) => Error::storage("the provenance log cannot be written", error),
            other => Error::UnsafeCache { path: self.path.clone(), reason: other.to_string() },
        })
    }

    fn append(&self, line: &Line<'_>, sync: bool) -> durable_fs::Result<()> {
        let text = serde_json::to_string(line).map_err(std::io::Error::from)?;
        if let Some(cache) = self.path.parent() {
            durable_fs::create_folders(cache)?;
        }
        durable_fs::append_line(&self.path, &text, sync)
    }
}
