//! Describes the document, and checks its proof.

use std::path::{Component, Path, PathBuf};

use provisioner_core::{Basis, Digest, Format, ModelFacts, Outcome, ResolvedModel, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The schema of the handoffs that this release writes, and the newest schema that it reads.
pub const SCHEMA_VERSION: u64 = 1;

/// Tells an engine provisioner which model to load, and why to trust it. `model.id` and `model.path` never change their meaning; fields are only added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Handoff {
    /// The number of this document's schema.
    pub schema_version: u64,
    /// Which model it is, and where it lies.
    pub model: HandoffModel,
    /// Says what is known of the model.
    pub metadata: HandoffMetadata,
    /// Why the model may be trusted.
    pub verification: HandoffVerification,
    /// Names the line of the provenance log that the process wrote before this document; absent where it could not write one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<HandoffProvenance>,
}

/// Names a line of a provenance log. A log that has another line there, or none, was cut or changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandoffProvenance {
    /// The number of the line, from 1 on.
    pub seq: u64,
    /// The SHA-256 of the line's bytes without the newline, as `sha256:` and 64 hex digits.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$")))]
    pub line: String,
    /// The absolute path of the log, as the process that wrote this document saw it.
    pub log: PathBuf,
}

/// Says which model it is, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandoffModel {
    /// The canonical text of the model's reference.
    pub id: String,
    /// The absolute path of the file or folder to load.
    pub path: PathBuf,
    /// The absolute path of the multimodal projector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mmproj: Option<PathBuf>,
}

/// Says what is known of the model without loading it. A field that is unknown is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandoffMetadata {
    /// The size of all files, in bytes.
    pub size_bytes: u64,
    /// The format of the weights.
    pub format: Format,
    /// Says what the model's header says.
    #[serde(flatten)]
    pub facts: ModelFacts,
}

/// Says why the model may be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandoffVerification {
    /// How the verification went.
    pub outcome: Outcome,
    /// How the digest was known; absent where no digest was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The reason, for a person.
    pub reason: String,
    /// The model's digest; absent where its bytes were not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The time at which the bytes were last hashed and compared, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub verified_at: Option<Timestamp>,
    /// The stamp of each file at that time: an engine that finds the same stamps has the same bytes.
    pub files: Vec<HandoffFile>,
}

/// Describes one file as it was when it was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandoffFile {
    /// The absolute path of the file.
    pub path: PathBuf,
    /// Holds what `stat` said of the file.
    #[serde(flatten)]
    pub stamp: Stamp,
}

impl Handoff {
    /// Makes the handoff of a model.
    pub fn of(model: &ResolvedModel) -> Self {
        let files = model.files.iter();
        let files = files.map(|file| HandoffFile { path: model.location(&file.path), stamp: file.stamp });
        Self {
            schema_version: SCHEMA_VERSION,
            model: HandoffModel {
                id: model.id.clone(),
                path: model.local_path.clone(),
                mmproj: model.mmproj.clone(),
            },
            metadata: HandoffMetadata {
                size_bytes: model.size_bytes,
                format: model.format,
                facts: model.facts.clone(),
            },
            verification: HandoffVerification {
                outcome: model.verification.outcome,
                basis: model.verification.basis,
                reason: model.verification.reason.clone(),
                digest: model.digest.clone(),
                verified_at: model.verification.verified_at,
                files: files.collect(),
            },
            provenance: None,
        }
    }

    /// Returns the handoff with the line of the provenance log on which it rests.
    #[must_use]
    pub fn resting_on(self, provenance: Option<HandoffProvenance>) -> Self {
        Self { provenance, ..self }
    }

    /// Compares each file's stamp with the proof, without reading the file. The proof must be of what the engine is told to
    /// load, and of a model that did not fail. The call may block.
    ///
    /// It does not notice files that another program added to a folder since.
    ///
    /// # Errors
    /// [`Error::Unproven`] where the document does not prove its own model; [`Error::Changed`] for the first file that is gone
    /// or differs.
    pub fn check(&self) -> Result<()> {
        if let Some(what) = self.lack() {
            return Err(Error::Unproven { id: self.model.id.clone(), what });
        }
        self.verification.files.iter().try_for_each(HandoffFile::check)
    }

    /// Says why the document does not prove its own model, whatever the files are now. `None` where it does.
    fn lack(&self) -> Option<String> {
        let Self { schema_version, model, verification, .. } = self;
        let HandoffModel { path, mmproj, .. } = model;
        let files = || verification.files.iter().map(|file| &file.path);
        let not_named = |path: &Path| Some(format!("`{}` is not among its files", path.display()));
        if *schema_version != SCHEMA_VERSION {
            return Some(format!(
                "it has schema {schema_version}, and this release knows schema {SCHEMA_VERSION}"
            ));
        }
        if verification.outcome == Outcome::Fail {
            return Some(format!("its verification failed: {}", verification.reason));
        }
        if let Some(odd) = files().chain([path]).chain(mmproj).find(|path| !is_plain(path)) {
            return Some(format!("`{}` is not an absolute path without `..`", odd.display()));
        }
        // A folder proves what lies in it: then all of its files do.
        let is_folder = files().all(|file| file.starts_with(path) && file != path);
        if files().next().is_none() || !(is_folder || files().any(|file| file == path)) {
            return not_named(path);
        }
        mmproj.as_ref().filter(|mmproj| !files().any(|file| file == *mmproj)).and_then(|path| not_named(path))
    }
}

/// Returns whether a path says where it leads: `..` behind a symlink leads elsewhere.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

impl HandoffFile {
    fn check(&self) -> Result<()> {
        let what = match fs_err::metadata(&self.path) {
            Ok(metadata) if !metadata.is_file() => "it is not a file any more".to_owned(),
            Ok(metadata) => match self.stamp.difference(&Stamp::of(&metadata)) {
                None => return Ok(()),
                Some(what) => what.to_owned(),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "it is gone".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(Error::Changed { path: self.path.clone(), what })
    }
}
