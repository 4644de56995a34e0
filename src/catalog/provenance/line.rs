//! Describes the lines that this library appends.

use std::path::{Path, PathBuf};

use artifact_store::AdoptedFile;
use provisioner_core::{
    Basis, CatalogRecord, Digest, ManifestFile, Outcome, RelativePath, ResolvedModel, Timestamp, Verification,
};
use serde::Serialize;

use crate::{catalog::source_entry::SourceEntry, context::Context};

/// Names what a process did.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    Ensure,
    Adopt,
    SkipMirror,
    Import,
    Export,
    Verify,
    Provision,
    Handoff,
    Attest,
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

/// How many adopted files a line has at most: a reader takes no line of any length.
const MOST_ADOPTED: usize = 500;

/// Returns the adopted files in groups, each of which fits into a line.
pub(crate) fn adoptions(adopted: &[AdoptionEntry]) -> impl Iterator<Item = &[AdoptionEntry]> {
    adopted.chunks(MOST_ADOPTED)
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
    pub(crate) mirror: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<SourceEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handoff: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<&'a Path>,
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
            mirror: None,
            path: None,
            source: None,
            config: None,
            handoff: None,
            statement: None,
        }
    }

    /// Returns a line about a record, with its path, its digest and its verdict.
    pub(crate) fn of_record(ctx: &Context, action: Action, record: &'a CatalogRecord) -> Self {
        Self {
            local_path: Some(&record.local_path),
            digest: record.digest.as_ref(),
            source: record.source.as_ref().and_then(SourceEntry::of),
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
