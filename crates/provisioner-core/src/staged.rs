//! A model between its source and the verdict.

use std::path::PathBuf;

use crate::{
    digest::{Digest, sha256_tree},
    error::{Error, Result},
    format::Format,
    manifest::Manifest,
    path::RelativePath,
    stamp::Stamp,
};

/// Holds all files of a manifest, on this machine, with the digests that were computed while their bytes were read.
/// An engine may not use them yet: [`judge`](Self::judge) is the only way on.
#[derive(Clone, Debug)]
pub struct StagedModel {
    manifest: Manifest,
    files: Vec<StagedFile>,
}

/// Describes one file of a staged model.
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
    /// Puts together the files of a manifest, as they lie on this machine.
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

    /// Returns the manifest that it was staged from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the files, in the order of their paths.
    pub fn files(&self) -> &[StagedFile] {
        &self.files
    }

    /// Returns the size of all files, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.stamp.size))
    }

    /// Returns the only file of a model that is one file, leaving out its projector.
    pub fn single(&self) -> Option<&StagedFile> {
        self.manifest.single().and_then(|only| self.file(&only.path))
    }

    pub(crate) fn file(&self, path: &RelativePath) -> Option<&StagedFile> {
        self.files.iter().find(|file| file.path == *path)
    }

    /// Returns the model's own digest: the file's SHA-256, or the tree of a set. `None` where a file was not hashed.
    pub fn digest(&self) -> Option<Digest> {
        match self.single() {
            Some(file) => file.sha256.clone(),
            None => self.tree(),
        }
    }

    /// Returns the `sha256-tree` over all files. `None` where a file was not hashed.
    pub fn tree(&self) -> Option<Digest> {
        let files: Option<Vec<_>> =
            self.files.iter().map(|file| Some((&file.path, file.sha256.as_ref()?))).collect();
        files.map(sha256_tree)
    }
}
