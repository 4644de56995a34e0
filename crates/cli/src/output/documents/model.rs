//! The documents that `--json` prints, and their text for people.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use indicatif::HumanBytes;
use model_provisioner::{
    CatalogRecord, DamagedRecord, Digest, ErrorCode, InventoryEntry, LeaseHolder, Lifecycle, Outcome, Plan,
    ResolvedModel, Timestamp, Verification, VerifyReport,
};
use serde::Serialize;

use crate::{failure::Failure, leftovers::Leftover};

/// One model.
#[derive(Debug, Serialize)]
pub(crate) struct Model {
    id: String,
    local_path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    verification: Verification,
    lifecycle: Lifecycle,
    cached: bool,
    files: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mmproj: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handoff: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leases: Vec<Lease>,
    /// What is different about its files since they were judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
}

/// A process that has a lease on the model.
#[derive(Debug, Serialize)]
struct Lease {
    pid: u32,
    program: String,
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct File {
    path: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

impl Model {
    pub(crate) fn new(model: &ResolvedModel, handoff: Option<PathBuf>) -> Self {
        let files = model.files.iter().map(|file| File {
            path: file.path.to_string(),
            size: file.stamp.size,
            digest: file.sha256.clone(),
        });
        Self {
            id: model.id.clone(),
            local_path: model.local_path.clone(),
            revision: model.revision.clone(),
            size_bytes: model.size_bytes,
            digest: model.digest.clone(),
            verification: model.verification.clone(),
            lifecycle: model.lifecycle,
            cached: model.cached,
            files: files.collect(),
            mmproj: model.mmproj.clone(),
            handoff,
            leases: Vec::new(),
            changed: None,
        }
    }

    /// Says who uses it.
    pub(crate) fn used_by(mut self, holders: Vec<LeaseHolder>) -> Self {
        let told = |LeaseHolder { owner, since }: LeaseHolder| Lease {
            pid: owner.pid,
            program: owner.program,
            host: owner.host,
            since,
        };
        self.leases = holders.into_iter().map(told).collect();
        self
    }

    /// Says what is different about its files since they were judged.
    pub(crate) fn changed(mut self, change: Option<String>) -> Self {
        self.changed = change;
        self
    }

    /// A card.
    pub(crate) fn card(&self, last_used_at: Option<Timestamp>) -> String {
        let mut rows = vec![("id", self.id.clone()), ("path", self.local_path.display().to_string())];
        rows.extend(self.mmproj.as_ref().map(|path| ("projector", path.display().to_string())));
        rows.extend(self.revision.as_ref().map(|revision| ("revision", revision.clone())));
        let files = counted(self.files.len() as u64, "file");
        rows.push(("size", format!("{} in {files}", HumanBytes(self.size_bytes))));
        rows.push(("state", self.lifecycle.as_str().to_owned()));
        rows.extend(self.digest.as_ref().map(|digest| ("digest", digest.to_string())));
        rows.push(("verified", format!("{}: {}", word(&self.verification), self.verification.reason)));
        rows.extend(self.verification.verified_at.map(|at| ("verified at", at.to_string())));
        rows.extend(self.changed.as_ref().map(|change| ("on disk", change.clone())));
        rows.extend(last_used_at.map(|at| ("last used", at.to_string())));
        rows.extend(self.leases.iter().map(|lease| {
            let since = lease.since.map(|since| format!(" since {since}")).unwrap_or_default();
            ("in use by", format!("process {} ({}) on {}{since}", lease.pid, lease.program, lease.host))
        }));
        card(&rows)
    }
}

/// Rows of a name and a value, as a person reads them.
pub(crate) fn card(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows: Vec<_> = rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    rows.join("\n")
}

/// So many things.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// One of several models, of which some may have failed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ModelOrFailure {
    Model(Box<Model>),
    Failure { reference: String, error: Failure },
}

impl ModelOrFailure {
    pub(crate) fn local_path(&self) -> Option<&Path> {
        match self {
            Self::Model(model) => Some(&model.local_path),
            Self::Failure { .. } => None,
        }
    }
}

/// What ensuring a model would fetch.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    files: Vec<PlannedFile>,
    download_bytes: u64,
    space_needed_bytes: u64,
}

#[derive(Debug, Serialize)]
struct PlannedFile {
    path: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<PathBuf>,
}

impl From<Plan> for Planned {
    fn from(plan: Plan) -> Self {
        let (download_bytes, space_needed_bytes) = (plan.download_bytes(), plan.space_needed_bytes());
        let files = plan.files.into_iter().map(|file| PlannedFile {
            path: file.path.to_string(),
            size: file.size,
            digest: file.digest,
            state: file.state.as_str(),
            from: file.from,
        });
        Self {
            id: plan.id,
            revision: plan.revision,
            files: files.collect(),
            download_bytes,
            space_needed_bytes,
        }
    }
}

impl Planned {
    pub(crate) fn text(&self) -> String {
        let mut text = self.id.clone();
        if let Some(revision) = &self.revision {
            let _ = write!(text, " at {revision}");
        }
        for file in &self.files {
            let _ =
                write!(text, "\n{:8}  {:>11}  {}", file.state, HumanBytes(file.size).to_string(), file.path);
            if let Some(from) = &file.from {
                let _ = write!(text, ", from {}", from.display());
            }
        }
        let _ = write!(text, "\n{} to fetch", HumanBytes(self.download_bytes));
        text
    }
}

/// One model of the catalog.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    id: String,
    local_path: PathBuf,
    lifecycle: Lifecycle,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
    verification: Verification,
}

impl From<InventoryEntry> for Listed {
    fn from(entry: InventoryEntry) -> Self {
        let CatalogRecord { id, local_path, lifecycle, digest, size_bytes, revision, verification, .. } =
            entry.record;
        Self {
            id,
            local_path,
            lifecycle,
            digest,
            size_bytes,
            revision,
            last_used_at: entry.last_used_at,
            verification,
        }
    }
}

/// The catalog as a table.
pub(crate) fn table(models: &[Listed]) -> String {
    if models.is_empty() {
        return String::new();
    }
    let mut text = format!("{:8}  {:>11}  {:16}  {:11}  ID", "STATE", "SIZE", "LAST USED", "VERIFIED");
    for model in models {
        let used =
            model.last_used_at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
        let (state, size) = (model.lifecycle.as_str(), HumanBytes(model.size_bytes).to_string());
        let verified = word(&model.verification);
        let _ = write!(text, "\n{state:8}  {size:>11}  {used:16}  {verified:11}  {}", model.id);
    }
    text
}

/// The verification in a word or two.
pub(crate) fn word(verification: &Verification) -> &'static str {
    match (verification.outcome, verification.basis) {
        (Outcome::Fail, _) => "FAILED",
        (_, None) => "unverified",
        (Outcome::Pass, Some(basis)) => basis.as_str(),
        (Outcome::Warn, Some(_)) => "warning",
    }
}

/// What verifying one model found.
#[derive(Debug, Serialize)]
pub(crate) struct Verified {
    id: String,
    outcome: Outcome,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    #[serde(skip)]
    pub(crate) code: Option<ErrorCode>,
}

impl From<VerifyReport> for Verified {
    fn from(report: VerifyReport) -> Self {
        let VerifyReport { id, outcome, reason, code, hint, .. } = report;
        Self { id, outcome, reason, hint, error: None, code }
    }
}

impl Verified {
    /// A model that could not be looked at.
    pub(crate) fn failed(id: String, failure: Failure) -> Self {
        let (reason, code) = (failure.message.clone(), Some(failure.code));
        Self { id, outcome: Outcome::Fail, reason, hint: None, error: Some(failure), code }
    }

    /// A record that cannot be read; nobody knows of which model.
    pub(crate) fn damaged(record: DamagedRecord) -> Self {
        let code = if record.is_newer { ErrorCode::NewerRecord } else { ErrorCode::DamagedRecord };
        Self::failed(record.location.display().to_string(), Failure::new(code, record.reason))
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        let of_failure = self.error.as_ref().and_then(|failure| failure.hint.as_deref());
        self.hint.as_deref().or(of_failure)
    }

    pub(crate) fn line(&self) -> String {
        let outcome = match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        match &self.error {
            None => format!("{outcome}  {}: {}", self.id, self.reason),
            Some(failure) if failure.message.contains(&self.id) => format!("{outcome}  {}", failure.message),
            Some(failure) => format!("{outcome}  {}: {}", self.id, failure.message),
        }
    }
}

/// A change of one record.
#[derive(Debug, Serialize)]
pub(crate) struct Changed {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local_path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lifecycle: Option<Lifecycle>,
    /// The unfinished transfers that went along.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) leftovers: Vec<Leftover>,
}

/// A model that was exported.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    id: String,
    pub(crate) dir: PathBuf,
    files: Vec<File>,
    size_bytes: u64,
}

impl From<CatalogRecord> for Exported {
    fn from(record: CatalogRecord) -> Self {
        let (id, dir) = (record.id.clone(), record.local_path.clone());
        let Model { files, size_bytes, .. } = Model::new(&ResolvedModel::new(record, true), None);
        Self { id, dir, files, size_bytes }
    }
}
