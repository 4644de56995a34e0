//! A model between its source and the verdict.

use std::path::PathBuf;

use crate::{
    Digest, Error, Expectation, Format, Manifest, ModelFacts, RelativePath, Result, Stamp, Timestamp,
    Verification, Verifier, judge, sha256_tree,
};

/// All files of a manifest, on this machine, with the digests that were computed while their bytes were read.
/// Nobody may use them yet: [`judge`](Self::judge) is the only way on.
#[derive(Clone, Debug)]
pub struct StagedModel {
    manifest: Manifest,
    files: Vec<StagedFile>,
}

/// One file of a staged model.
#[derive(Clone, Debug)]
pub struct StagedFile {
    /// Its place in the model.
    pub path: RelativePath,
    /// Where it lies, as an absolute path.
    pub location: PathBuf,
    /// What it was when its bytes were read; taken before and after, and equal.
    pub stamp: Stamp,
    /// Whether a later write must show in the stamp.
    pub settled: bool,
    /// What it is written in.
    pub format: Format,
    /// The SHA-256 of its bytes, where they were read.
    pub sha256: Option<Digest>,
    /// The git blob id of its bytes, where it was asked for.
    pub git_sha1: Option<Digest>,
}

impl StagedModel {
    /// The files of a manifest, as they lie on this machine.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when they are not the manifest's files.
    pub fn new(manifest: Manifest, mut files: Vec<StagedFile>) -> Result<Self> {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let same = files.iter().map(|file| &file.path).eq(manifest.files().iter().map(|file| &file.path));
        if same {
            return Ok(Self { manifest, files });
        }
        let reason = "the staged files are not those that it lists".to_owned();
        Err(Error::Inconsistent { id: manifest.reference().id(), reason })
    }

    /// The manifest that it was staged from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The files, in the order of their paths.
    pub fn files(&self) -> &[StagedFile] {
        &self.files
    }

    /// The size of all files, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.stamp.size))
    }

    /// The only file of a model that is one file, leaving out its projector.
    pub fn single(&self) -> Option<&StagedFile> {
        self.manifest.single().and_then(|only| self.file(&only.path))
    }

    pub(crate) fn file(&self, path: &RelativePath) -> Option<&StagedFile> {
        self.files.iter().find(|file| file.path == *path)
    }

    /// The model's own digest: the file's SHA-256, or the tree of a set. `None` where a file was not hashed.
    pub fn digest(&self) -> Option<Digest> {
        match self.single() {
            Some(file) => file.sha256.clone(),
            None => self.tree(),
        }
    }

    /// The `sha256-tree` over all files. `None` where a file was not hashed.
    pub fn tree(&self) -> Option<Digest> {
        let files: Option<Vec<_>> =
            self.files.iter().map(|file| Some((&file.path, file.sha256.as_ref()?))).collect();
        files.map(sha256_tree)
    }

    /// Judges the model: the digest verifier first, then the others in their order.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the reason of the first that fails; [`Error::Unread`] where one cannot read the model.
    pub fn judge(
        self,
        expectation: &Expectation,
        verifiers: &[std::sync::Arc<dyn Verifier>],
        now: Timestamp,
    ) -> Result<VerifiedModel> {
        let (verification, facts) = judge::judge(&self, expectation, verifiers, now)?;
        Ok(VerifiedModel { staged: self, verification, facts })
    }
}

/// A staged model that was judged and did not fail. There is no other way to make one.
#[derive(Clone, Debug)]
pub struct VerifiedModel {
    staged: StagedModel,
    verification: Verification,
    facts: Option<ModelFacts>,
}

impl VerifiedModel {
    /// The model that was judged.
    pub fn staged(&self) -> &StagedModel {
        &self.staged
    }

    /// What was found.
    pub fn verification(&self) -> &Verification {
        &self.verification
    }

    /// What a verifier learned of it.
    pub fn facts(&self) -> Option<&ModelFacts> {
        self.facts.as_ref()
    }
}
