//! The append-only log of what each process did and why it trusted the bytes: `provenance.jsonl`, one JSON object a line.
//!
//! A line has `at` (RFC 3339), `action` and `id`; and, where they are known, `local_path`, `digest`, `outcome`, `basis`,
//! A line has `at` (RFC 3339), `action` and `id`; and, where the process knows them, `local_path`, `digest`, `outcome`,
//! `basis`, `reason`, `cached`, `adopted` (an array of `{path, from, way}`), `config` and `handoff`. A process that dies
//! while it writes leaves a line without an end. The next writer ends that line, and readers pass over a line that is not
//! JSON.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use artifact_store::AdoptedFile;
use provisioner_core::{
    Basis, CatalogRecord, Digest, ManifestFile, Outcome, RelativePath, ResolvedModel, Timestamp, Verification,
};
use serde::Serialize;

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Returns the log of a cache.
pub(crate) fn log(ctx: &Context) -> ProvenanceLog {
    ProvenanceLog { path: ctx.cache.provenance() }
}

/// Names what a process did.
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

/// Describes an adopted file, as the log names it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AdoptionEntry {
    path: RelativePath,
    from: PathBuf,
    way: &'static str,
}

impl AdoptionEntry {
    pub(crate) fn new(file: &ManifestFile, adopted: &AdoptedFile) -> Self {
        let way = if adopted.is_externally_linked { "link" } else { "copy" };
        Self { path: file.path.clone(), from: adopted.from.clone(), way }
    }
}

/// Describes one line of the log, about one model.
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
    pub(crate) adopted: Option<&'a [AdoptionEntry]>,
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

    /// Returns a line about a record, with its path, its digest and its verdict.
    pub(crate) fn of_record(ctx: &Context, action: Action, record: &'a CatalogRecord) -> Self {
        Self {
            local_path: Some(&record.local_path),
            digest: record.digest.as_ref(),
            ..Self::new(ctx.clock.now(), action, &record.id).with_verification(&record.verification)
        }
    }

    /// Returns a line about a model, with its path, its digest and its verdict.
    pub(crate) fn of_model(ctx: &Context, action: Action, model: &'a ResolvedModel) -> Self {
        Self {
            local_path: Some(&model.local_path),
            digest: model.digest.as_ref(),
            ..Self::new(ctx.clock.now(), action, &model.id).with_verification(&model.verification)
        }
    }

    /// Returns the line with a verdict in it.
    fn with_verification(mut self, verification: &'a Verification) -> Self {
        self.outcome = Some(verification.outcome);
        self.basis = verification.basis;
        self.reason = Some(&verification.reason);
        self
    }
}

/// Appends to the log of one cache.
#[derive(Clone, Debug)]
pub(crate) struct ProvenanceLog {
    path: PathBuf,
}

impl ProvenanceLog {
    /// Appends a line for a call that changed nothing. Where this process may not write to the cache, it appends none. It
    /// may block.
    pub(crate) fn note(&self, line: &Line<'_>) {
        if let Err(error) = self.append(line, false) {
            tracing::debug!("no line of provenance: {error}");
        }
    }

    /// Appends a line for a call that changed the catalog, durably. The change stays when the disk fails in this moment,
    /// so that this process only warns. It may block.
    pub(crate) fn record(&self, line: &Line<'_>) {
        if let Err(error) = self.append(line, true) {
            tracing::warn!("the provenance log lacks a line of `{}`: {error}", line.id);
        }
    }

    /// Fails where this process cannot append a line. It may block.
    pub(crate) fn check(&self) -> Result<()> {
        self.told(durable_fs::create_folders(self.path.parent().unwrap_or(&self.path)))?;
        self.told(durable_fs::check_appendable(&self.path))
    }

    fn told(&self, done: durable_fs::Result<()>) -> Result<()> {
        done.map_err(|error| match error {
            // A folder that the disk does not take does not mean that the model is missing.
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

/// Appends a line for a model that a verifier refused.
pub(crate) async fn note_refusal(ctx: &Arc<Context>, id: &str, error: &Error) -> Result<()> {
    let (id, reason) = (id.to_owned(), error.to_string());
    ctx.run_blocking(move |ctx| {
        let line = Line {
            outcome: Some(Outcome::Fail),
            reason: Some(&reason),
            ..Line::new(ctx.clock.now(), Action::Ensure, &id)
        };
        log(ctx).note(&line);
        Ok(())
    })
    .await
}
