//! Keeps what the catalog knows of a model.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    choice::{LeftOut, Notice, Role},
    clock::Timestamp,
    digest::{Digest, DigestAlgorithm, sha256_tree},
    facts::ModelFacts,
    format::Format,
    lenient,
    manifest::{Entry, Manifest},
    path::RelativePath,
    recorded_format,
    reference::ModelRef,
    shared,
    signature::RecordedSignature,
    source_facts::SourceFacts,
    staged::StagedFile,
    stamp::Stamp,
    verification::{Basis, Expectation, Outcome, Verification},
    verified::VerifiedModel,
};

/// Says whether a model may be used. There are two states, and no third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Lifecycle {
    /// An engine may use the model.
    Active,
    /// The catalog keeps the model, and every call refuses it until a caller activates it.
    Retired,
}

impl Lifecycle {
    /// Returns its name in files and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Retired => "Retired",
        }
    }
}

/// The schema of the records that this release writes, and the newest one that it reads.
pub const RECORD_SCHEMA: u64 = 1;

/// How many of the files that stay out a record keeps at the most: the largest ones.
const MAX_LEFT_OUT: usize = 256;

/// Keeps what is known of one model. A field that this release does not know survives reading and writing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogRecord {
    /// The id of the model: the canonical text of its reference.
    pub id: String,
    /// The absolute path that an engine loads: a file or a folder.
    pub local_path: PathBuf,
    /// Says whether an engine may use the model.
    pub lifecycle: Lifecycle,
    /// The revision that the source pinned, such as a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The digest of the model, as the caller demanded it or a process computed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The size of all files, in bytes.
    pub size_bytes: u64,
    /// The format of the weights.
    #[serde(flatten, with = "recorded_format")]
    pub format: Format,
    /// The path in the model of the file or the folder that `local_path` names. It is absent where `local_path` is the folder of
    /// all the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<RelativePath>,
    /// The path in the model of its multimodal projector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projector: Option<RelativePath>,
    /// Says what the model says of itself. It is absent where no verifier has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ModelFacts>,
    /// Says what the source said of the model. It is absent where the source said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::value")]
    pub source: Option<SourceFacts>,
    /// The files, in the order of their paths. There are none where no process has looked at them. Clones of the record share them.
    #[serde(with = "shared")]
    pub files: Arc<Vec<RecordedFile>>,
    /// The files that the source listed and that do not belong to the model, in the order of their paths: the largest 256 of
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::elements")]
    pub left_out: Vec<LeftOut>,
    /// Tells what a person should know of the choice of the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::elements")]
    pub notices: Vec<Notice>,
    /// The result of the last judgement.
    pub verification: Verification,
    /// The signatures of trusted signers that hold for the bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::elements")]
    pub signatures: Vec<RecordedSignature>,
    /// When a process first wrote the record.
    pub created_at: Timestamp,
    /// When a process last changed the record.
    pub updated_at: Timestamp,
    /// The fields that a newer release of the same schema wrote.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Describes one file of a record, as it was when a verifier judged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// The path of the file in the model.
    pub path: RelativePath,
    /// The stamp of the file when its bytes were read.
    pub stamp: Stamp,
    /// Says whether every later write must show in the stamp. Where it is false, the digest does not count any more.
    pub settled: bool,
    /// The format of the file.
    #[serde(flatten, with = "recorded_format")]
    pub format: Format,
    /// The SHA-256 of the bytes, where a process has read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Says what the file is to an engine, where a rule said it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::value")]
    pub role: Option<Role>,
}

/// Returns the largest of the files that stay out, in the order of their paths.
fn largest(manifest: &Manifest) -> Vec<LeftOut> {
    let mut left_out = manifest.left_out().to_vec();
    left_out.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    left_out.truncate(MAX_LEFT_OUT);
    left_out.sort_by(|a, b| a.path.cmp(&b.path));
    left_out
}

/// Says where the files of a verified model lie for good, and which stamps to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    root: PathBuf,
    stamps: Vec<Stamp>,
}

impl Placement {
    /// Returns the placement of a model whose files stay where they were found. `None` where the files have no folder in
    /// common.
    pub fn in_place(model: &VerifiedModel) -> Option<Self> {
        let files = model.staged().files();
        let root = root_of(files.first()?)?;
        let stamps = files.iter().map(|file| file.stamp).collect();
        files.iter().all(|file| root_of(file) == Some(root)).then(|| Self { root: root.to_owned(), stamps })
    }

    /// Returns the folder below which the files lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the same placement in a store, which links the files. `are_shared` says of each file, in the order of
    /// their paths, whether another tool links it too: then the stamp keeps the time that a link changes.
    #[must_use]
    pub fn in_a_store(self, are_shared: &[bool]) -> Self {
        let kept = |(stamp, is_shared): (Stamp, bool)| if is_shared { stamp } else { stamp.without_ctime() };
        let are_shared = are_shared.iter().copied().chain(std::iter::repeat(false));
        Self { root: self.root, stamps: self.stamps.into_iter().zip(are_shared).map(kept).collect() }
    }

    /// Returns the placement of a model whose files lie below a folder of a store. `stamps` are the stamps to record, in the
    /// order of the paths: without the time that a link changes, unless another tool links the file too.
    pub fn in_store(root: PathBuf, stamps: Vec<Stamp>) -> Self {
        Self { root, stamps }
    }
}

/// Returns the folder below which a staged file has its path in the model.
fn root_of(file: &StagedFile) -> Option<&Path> {
    let depth = file.path.as_ref().components().count();
    if file.location.ends_with(&file.path) { file.location.ancestors().nth(depth) } else { None }
}

impl CatalogRecord {
    /// Makes the record of a model that was just judged, as of `now`.
    pub fn new(model: &VerifiedModel, placement: &Placement, now: Timestamp) -> Self {
        let (staged, verification) = (model.staged(), model.verification());
        let manifest = staged.manifest();
        let files = staged.files().iter().zip(&placement.stamps).map(|(file, stamp)| RecordedFile {
            path: file.path.clone(),
            stamp: *stamp,
            settled: file.settled,
            format: file.format,
            sha256: file.sha256.clone(),
            role: manifest.role(&file.path),
        });
        let entry = manifest.entry().path().cloned();
        Self {
            id: manifest.reference().id(),
            local_path: match &entry {
                Some(path) => placement.root.join(path),
                None => placement.root.clone(),
            },
            lifecycle: Lifecycle::Active,
            revision: manifest.revision().map(str::to_owned),
            digest: staged.digest(),
            size_bytes: staged.size_bytes(),
            format: Format::of_model(staged.files().iter().map(|file| file.format)),
            entry,
            projector: manifest.projector().cloned(),
            facts: model.facts().cloned(),
            source: manifest.source().cloned(),
            files: Arc::new(files.collect()),
            left_out: largest(manifest),
            notices: manifest.notices().iter().chain(model.notices()).cloned().collect(),
            verification: verification.clone(),
            signatures: model.signatures().to_vec(),
            created_at: now,
            updated_at: now,
            extra: Map::new(),
        }
    }

    /// Returns this record as the successor of another one of the same id. Where no process has read the bytes since, the
    /// record keeps the time at which they were verified for the other one.
    #[must_use]
    pub fn succeeding(mut self, previous: &Self) -> Self {
        let nothing_read = self.files == previous.files && self.files.iter().all(|file| file.settled);
        if nothing_read
            && self.verification.verified_at.is_some()
            && previous.verification.verified_at.is_some()
        {
            self.verification.verified_at = previous.verification.verified_at;
        }
        // A signature holds for the bytes, whichever call asked for it.
        if self.digest.is_some() && self.digest == previous.digest {
            let is_new =
                |kept: &&RecordedSignature| self.signatures.iter().all(|own| own.signer != kept.signer);
            let kept: Vec<_> = previous.signatures.iter().filter(is_new).cloned().collect();
            self.signatures.extend(kept);
        }
        Self { created_at: previous.created_at, extra: previous.extra.clone(), ..self }
    }

    /// Returns the record as a refresh leaves it when the model moves on to another revision: Retired, under the id that names
    /// its own revision. `None` where no reference can name that. `reference` is the one that the record is of, as its fetcher
    /// reads it.
    pub fn superseded(&self, reference: &ModelRef) -> Option<Self> {
        let id = reference.at_revision(self.revision.as_ref()?)?.id();
        Some(Self { id, lifecycle: Lifecycle::Retired, ..self.clone() })
    }

    /// Returns the part of the model that an engine loads: `entry` is a file where it is the path of one, and else a folder.
    pub fn loaded(&self) -> Entry {
        let is_file = |path: &RelativePath| self.files.iter().any(|file| file.path == *path);
        match &self.entry {
            None => Entry::Folder,
            Some(path) if self.files.is_empty() || is_file(path) => Entry::File(path.clone()),
            Some(path) => Entry::Subfolder(path.clone()),
        }
    }

    /// Returns the folder below which the files lie.
    pub fn root(&self) -> &Path {
        let depth = self.entry.as_ref().map_or(0, |entry| entry.as_ref().components().count());
        self.local_path.ancestors().nth(depth).unwrap_or(Path::new("/"))
    }

    /// Returns the file of a path. `None` where no file has it.
    pub fn file(&self, path: &RelativePath) -> Option<&RecordedFile> {
        let index = self.files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        self.files.get(index)
    }

    /// Returns the absolute path of one of the files.
    pub fn location(&self, path: &RelativePath) -> PathBuf {
        self.root().join(path)
    }

    /// Returns the licence: as the source names it, or for a model of this machine as the model itself does.
    pub fn license(&self) -> Option<&str> {
        let own = self.facts.as_ref().filter(|_| self.id.starts_with("local:"));
        let own = own.and_then(|facts| facts.license.as_deref());
        self.source.as_ref().and_then(|source| source.license.as_deref()).or(own)
    }

    /// Returns the digest that the model must still have, and how it is known.
    pub fn evidence(&self) -> Option<(Digest, Basis)> {
        Some((self.digest.clone()?, self.verification.basis?))
    }

    /// Returns the `sha256-tree` over all files. `None` where no process has hashed one of them.
    pub fn tree(&self) -> Option<Digest> {
        let files: Option<Vec<_>> =
            self.files.iter().map(|file| Some((&file.path, file.sha256.as_ref()?))).collect();
        files.filter(|files| !files.is_empty()).map(sha256_tree)
    }

    /// Returns whether the record has a digest: as the model's own, or as that of its set of files.
    fn has(&self, digest: &Digest) -> bool {
        let is_tree =
            || digest.algorithm() == DigestAlgorithm::Sha256Tree && self.tree().as_ref() == Some(digest);
        self.digest.as_ref() == Some(digest) || is_tree()
    }

    /// Returns whether the recorded signatures meet what an expectation demands of signatures.
    pub fn is_signed_as(&self, expectation: &Expectation) -> bool {
        let mut demands = expectation.signatures().iter();
        demands.all(|demand| !demand.is_enforced() || demand.is_met_by(&self.signatures))
    }

    /// Returns whether the recorded evidence satisfies an expectation, for bytes that have not changed.
    pub fn satisfies(&self, expectation: &Expectation) -> bool {
        let digest = match expectation.digest() {
            None => true,
            Some((digest, basis)) => {
                self.has(digest) && self.verification.basis.is_some_and(|known| known >= basis)
            }
        };
        let trusted = self.digest.is_none() || self.files.iter().all(|file| file.settled);
        digest
            && self.is_signed_as(expectation)
            && trusted
            && self.verification.outcome != Outcome::Fail
            && (!expectation.is_strict() || self.verification.is_strict_pass())
    }

    /// Records that the bytes are wrong, as of `now`. The record keeps the digest that they should have, and forgets the
    /// rest of what it knew of them.
    pub fn fail(&mut self, reason: String, now: Timestamp) {
        self.verification = Verification {
            outcome: Outcome::Fail,
            reason,
            verified_at: Some(now),
            ..self.verification.clone()
        };
        self.facts = None;
        for file in Arc::make_mut(&mut self.files) {
            file.settled = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn clones_share_the_files_until_one_changes_them() {
        let stamp = Stamp { size: 1, mtime_ns: 0, ctime_ns: None, dev: 1, inode: 1 };
        let files = ["a", "b", "c/d"].map(
            |path| json!({ "path": path, "stamp": to_value(stamp).unwrap(), "settled": true, "format": "gguf" }),
        );
        let (reason, now) = (String::new(), Timestamp::UNIX_EPOCH);
        let verification = Verification { outcome: Outcome::Pass, basis: None, reason, verified_at: None };
        let text = json!({
            "id": "local:/m", "local_path": "/m", "lifecycle": "Active", "size_bytes": 3, "format": "gguf", "files": files,
            "verification": to_value(verification).unwrap(), "created_at": now, "updated_at": now,
        });
        let record: CatalogRecord = from_value(text.clone()).unwrap();
        assert_eq!(to_value(&record).unwrap()["files"], text["files"]);
        let mut failed = record.clone();
        assert!(Arc::ptr_eq(&failed.files, &record.files));
        failed.fail("other bytes".to_owned(), now);
        for path in ["a", "b", "c/d"].map(|path| RelativePath::new(path).unwrap()) {
            let (kept, changed) = (record.file(&path).unwrap(), failed.file(&path).unwrap());
            assert_eq!((&kept.path, &changed.path), (&path, &path));
            assert_eq!((kept.settled, changed.settled), (true, false));
        }
        assert!(record.file(&RelativePath::new("c").unwrap()).is_none());
    }
}
