//! Holds a model between its source and the verdict.

use std::{path::Path, sync::Arc};

use crate::{
    digest::{Digest, sha256_tree},
    error::{Error, Result},
    format::Format,
    manifest::Manifest,
    path::RelativePath,
    signature::SignatureFile,
    stamp::Stamp,
};

/// Holds all files of a manifest on this machine, with the digests that were computed while a process read their bytes.
/// No engine may use them yet: [`judge`](Self::judge) is the only way on.
#[derive(Clone, Debug)]
pub struct StagedModel {
    manifest: Manifest,
    files: Vec<StagedFile>,
}

/// Describes one file of a staged model.
#[derive(Clone, Debug)]
pub struct StagedFile {
    /// The path of the file in the model.
    pub path: RelativePath,
    /// The absolute path at which the file lies.
    pub location: Arc<Path>,
    /// The stamp of the file, which was the same before its first byte was read and after its last one.
    pub stamp: Stamp,
    /// Says whether every later write must show in the stamp.
    pub settled: bool,
    /// The format of the file.
    pub format: Format,
    /// The SHA-256 of the bytes, where a process has read them.
    pub sha256: Option<Digest>,
    /// Git's id of the bytes, where the manifest lists one.
    pub git_sha1: Option<Digest>,
}

impl StagedModel {
    /// Makes a staged model of a manifest and its files on this machine.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when the files are not those that the manifest lists.
    pub fn new(manifest: Manifest, mut files: Vec<StagedFile>) -> Result<Self> {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let same = files.iter().map(|file| &file.path).eq(manifest.files().iter().map(|file| &file.path));
        if same {
            return Ok(Self { manifest, files });
        }
        let reason = "the staged files are not those that it lists".to_owned();
        Err(Error::Inconsistent { id: manifest.reference().id(), reason })
    }

    /// Sets the signatures that were found with the model.
    #[must_use]
    pub fn with_signatures(self, signatures: Vec<SignatureFile>) -> Self {
        Self { manifest: self.manifest.with_signatures(signatures), ..self }
    }

    /// Returns the manifest from which the model was staged.
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

    /// Returns the only file of a model of one file, its projector left out. `None` for a set.
    pub fn single(&self) -> Option<&StagedFile> {
        self.manifest.single().and_then(|only| self.file(&only.path))
    }

    pub(crate) fn file(&self, path: &RelativePath) -> Option<&StagedFile> {
        let index = self.files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        self.files.get(index)
    }

    /// Returns the digest of the model: the SHA-256 of its one file, or the `sha256-tree` of a set. `None` where no process
    /// has hashed one of the files.
    pub fn digest(&self) -> Option<Digest> {
        match self.single() {
            Some(file) => file.sha256.clone(),
            None => self.tree(),
        }
    }

    /// Returns the `sha256-tree` over all files. `None` where no process has hashed one of them.
    pub fn tree(&self) -> Option<Digest> {
        let files: Option<Vec<_>> =
            self.files.iter().map(|file| Some((&file.path, file.sha256.as_ref()?))).collect();
        files.map(sha256_tree)
    }
}
