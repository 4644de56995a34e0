//! Defines the document of one model.

use std::path::{Path, PathBuf};

use model_provisioner::{
    Digest, LeaseHolder, Lifecycle, RecordedSignature, RelativePath, ResolvedModel, Signer, Timestamp,
    Verification, readable_size,
};
use serde::Serialize;

use super::notice::NoticeDocument;
use crate::output::{
    failure::Failure,
    text::{card, counted, verification_word},
};

/// Describes one model: what `ensure`, `run`, `provision`, `show` and `import` print.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Model {
    /// The id: the canonical text of the reference.
    id: String,
    /// The path that an engine opens.
    local_path: PathBuf,
    /// The commit, where the source has revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// The size of all files, in bytes.
    pub(super) size_bytes: u64,
    /// The digest: of the file, or of the table of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// How the command knows that these are the right bytes.
    verification: Verification,
    /// The signatures of trusted signers that hold for the bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<ModelSignature>,
    /// Whether the model may be used.
    lifecycle: Lifecycle,
    /// Whether the command fetched nothing.
    cached: bool,
    /// The files, by their place in the model.
    pub(super) files: Vec<File>,
    /// What a person should know of the choice of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<NoticeDocument>,
    /// The path of the projector, where the model has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    mmproj: Option<PathBuf>,
    /// The path of the handoff that the command wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    handoff: Option<PathBuf>,
    /// The path of the statement that the command wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<PathBuf>,
    /// The processes that use the model; `show` prints them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leases: Vec<Lease>,
    /// How the files differ from what the command judged; absent where they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
}

/// Describes a signature that holds for a model.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ModelSignature {
    /// The signer: a key by its fingerprint, or an identity of an issuer.
    signer: Signer,
    /// The file of the signature: its place in the model, or on this machine.
    file: String,
    /// The SHA-256 of that file.
    digest: Digest,
}

/// Names a process that has a lease on the model.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Lease {
    /// The process id.
    pid: u32,
    /// The name of the program.
    program: String,
    /// The name of the machine.
    host: String,
    /// When the process took the lease, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    since: Option<Timestamp>,
}

/// Describes one file of a model.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct File {
    /// The place in the model.
    #[cfg_attr(test, schemars(with = "String"))]
    path: RelativePath,
    /// The size, in bytes.
    size: u64,
    /// The SHA-256, where the command knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

impl From<&RecordedSignature> for ModelSignature {
    fn from(found: &RecordedSignature) -> Self {
        Self { signer: found.signer.clone(), file: found.file.clone(), digest: found.sha256.clone() }
    }
}

impl Model {
    pub(crate) fn new(model: &ResolvedModel, handoff: Option<PathBuf>) -> Self {
        let files = model.files.iter().map(|file| File {
            path: file.path.clone(),
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
            signatures: model.signatures.iter().map(ModelSignature::from).collect(),
            lifecycle: model.lifecycle,
            cached: model.cached,
            files: files.collect(),
            notices: model.notices.iter().map(NoticeDocument::from).collect(),
            mmproj: model.mmproj.clone(),
            handoff,
            statement: None,
            leases: Vec::new(),
            changed: None,
        }
    }

    /// Adds the path of the statement about the model.
    pub(crate) fn attested(mut self, statement: Option<PathBuf>) -> Self {
        self.statement = statement;
        self
    }

    /// Adds the processes that have a lease on the model.
    pub(crate) fn used_by(mut self, holders: Vec<LeaseHolder>) -> Self {
        let told = |LeaseHolder { process, since }: LeaseHolder| Lease {
            pid: process.pid,
            program: process.program,
            host: process.host,
            since,
        };
        self.leases = holders.into_iter().map(told).collect();
        self
    }

    /// Adds how the files differ from what the command judged.
    pub(crate) fn changed(mut self, change: Option<String>) -> Self {
        self.changed = change;
        self
    }

    /// Returns a card for people.
    pub(crate) fn card(&self, last_used_at: Option<Timestamp>) -> String {
        let mut rows = vec![("id", self.id.clone()), ("path", self.local_path.display().to_string())];
        rows.extend(self.mmproj.as_ref().map(|path| ("projector", path.display().to_string())));
        rows.extend(self.revision.as_ref().map(|revision| ("revision", revision.clone())));
        let files = counted(self.files.len() as u64, "file");
        rows.push(("size", format!("{} in {files}", readable_size(self.size_bytes))));
        rows.push(("state", self.lifecycle.as_str().to_owned()));
        rows.extend(self.digest.as_ref().map(|digest| ("digest", digest.to_string())));
        rows.push((
            "verified",
            format!("{}: {}", verification_word(&self.verification), self.verification.reason),
        ));
        rows.extend(
            self.signatures.iter().map(|found| ("signed by", format!("{}, in {}", found.signer, found.file))),
        );
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

/// Describes one of several models, of which some may have failed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
