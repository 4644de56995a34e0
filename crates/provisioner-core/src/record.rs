//! What the catalog keeps of a model.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    digest::Digest,
    facts::ModelFacts,
    format::Format,
    manifest::Entry,
    path::RelativePath,
    reference::ModelRef,
    staged::StagedFile,
    stamp::Stamp,
    verification::{Basis, Expectation, Outcome, Verification},
    verified::VerifiedModel,
};

/// Says whether a model may be used. There is no third state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Lifecycle {
    /// It may be used.
    Active,
    /// It is kept, and refused until a caller activates it.
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

/// Keeps what is known of one model durably. Fields that this release does not know survive reading and writing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogRecord {
    /// The canonical reference.
    pub id: String,
    /// What an engine is given: a file or a folder.
    pub local_path: PathBuf,
    /// Whether it may be used.
    pub lifecycle: Lifecycle,
    /// The revision that the source pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The model's digest, as demanded or computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The size of all files, in bytes.
    pub size_bytes: u64,
    /// What its weights are written in.
    pub format: Format,
    /// The file of the model that `local_path` names; absent where that is a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<RelativePath>,
    /// The multimodal projector among the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projector: Option<RelativePath>,
    /// What is known of it without loading it; absent where no verifier has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ModelFacts>,
    /// The files, in the order of their paths; none where they were never looked at.
    pub files: Vec<RecordedFile>,
    /// What was found when it was last judged.
    pub verification: Verification,
    /// When the record was first written.
    pub created_at: Timestamp,
    /// When the record was last changed.
    pub updated_at: Timestamp,
    /// What newer releases of the same schema wrote.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Describes one file, as it was when it was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// Its place in the model.
    pub path: RelativePath,
    /// What it was.
    pub stamp: Stamp,
    /// Whether a later write must show in the stamp. Where not, the digest is no longer known.
    pub settled: bool,
    /// What it is written in.
    pub format: Format,
    /// The SHA-256 of its bytes, where they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// Says where the files of a verified model lie for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    root: PathBuf,
    stamps: Vec<Stamp>,
}

impl Placement {
    /// Returns the place of a model whose files stay where they were found. `None` where they have no folder in common.
    pub fn in_place(model: &VerifiedModel) -> Option<Self> {
        let files = model.staged().files();
        let root = root_of(files.first()?)?;
        let stamps = files.iter().map(|file| file.stamp).collect();
        files.iter().all(|file| root_of(file) == Some(root)).then(|| Self { root: root.to_owned(), stamps })
    }

    /// Returns the folder below which they lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns this place, known to be in a store, which links its files. `are_shared` says of each, in the order of their paths,
    /// whether another tool links it too: then every change of it counts.
    #[must_use]
    pub fn in_a_store(self, are_shared: &[bool]) -> Self {
        let kept = |(stamp, is_shared): (Stamp, bool)| if is_shared { stamp } else { stamp.without_ctime() };
        let are_shared = are_shared.iter().copied().chain(std::iter::repeat(false));
        Self { root: self.root, stamps: self.stamps.into_iter().zip(are_shared).map(kept).collect() }
    }

    /// Returns the place of a model whose files now lie below a folder of a store, with the stamps to record, in the order of
    /// their paths: without the time that linking changes, but for files that another tool links too.
    pub fn in_store(root: PathBuf, stamps: Vec<Stamp>) -> Self {
        Self { root, stamps }
    }
}

/// Returns the folder from which a file's path leads to where it lies.
fn root_of(file: &StagedFile) -> Option<&Path> {
    let depth = file.path.as_ref().components().count();
    if file.location.ends_with(&file.path) { file.location.ancestors().nth(depth) } else { None }
}

impl CatalogRecord {
    /// Makes the record of a model that was just judged.
    pub fn new(model: &VerifiedModel, placement: &Placement, now: Timestamp) -> Self {
        let (staged, verification) = (model.staged(), model.verification());
        let manifest = staged.manifest();
        let files = staged.files().iter().zip(&placement.stamps).map(|(file, stamp)| RecordedFile {
            path: file.path.clone(),
            stamp: *stamp,
            settled: file.settled,
            format: file.format,
            sha256: file.sha256.clone(),
        });
        let entry = match manifest.entry() {
            Entry::File(path) => Some(path.clone()),
            Entry::Folder => None,
        };
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
            files: files.collect(),
            verification: verification.clone(),
            created_at: now,
            updated_at: now,
            extra: Map::new(),
        }
    }

    /// Returns this record as the successor of another one of the same id. Where nothing was read since, the bytes were last
    /// verified when they were for that one.
    #[must_use]
    pub fn succeeding(mut self, previous: &Self) -> Self {
        let nothing_read = self.files == previous.files && self.files.iter().all(|file| file.settled);
        if nothing_read
            && self.verification.verified_at.is_some()
            && previous.verification.verified_at.is_some()
        {
            self.verification.verified_at = previous.verification.verified_at;
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

    /// Returns the folder below which the files lie.
    pub fn root(&self) -> &Path {
        let depth = self.entry.as_ref().map_or(0, |entry| entry.as_ref().components().count());
        self.local_path.ancestors().nth(depth).unwrap_or(Path::new("/"))
    }

    /// Returns where one of the files lies.
    pub fn location(&self, path: &RelativePath) -> PathBuf {
        self.root().join(path)
    }

    /// Returns the digest that the model must still have, and how it is known.
    pub fn evidence(&self) -> Option<(Digest, Basis)> {
        Some((self.digest.clone()?, self.verification.basis?))
    }

    /// Returns whether the evidence alone, with bytes that have not changed, satisfies an expectation.
    pub fn satisfies(&self, expectation: &Expectation) -> bool {
        let digest = match expectation.digest() {
            None => true,
            Some((digest, basis)) => {
                self.digest.as_ref() == Some(digest)
                    && self.verification.basis.is_some_and(|known| known >= basis)
            }
        };
        let trusted = self.digest.is_none() || self.files.iter().all(|file| file.settled);
        digest
            && trusted
            && self.verification.outcome != Outcome::Fail
            && (!expectation.is_strict() || self.verification.is_strict_pass())
    }

    /// Records that the bytes were found to be wrong: nothing that was known of them counts any more, but the
    /// digest that they should have.
    pub fn fail(&mut self, reason: String, now: Timestamp) {
        self.verification = Verification {
            outcome: Outcome::Fail,
            reason,
            verified_at: Some(now),
            ..self.verification.clone()
        };
        self.facts = None;
        self.files.iter_mut().for_each(|file| file.settled = false);
    }
}
