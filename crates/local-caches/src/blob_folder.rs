//! Finds files in a folder that names them by their digests.

use std::path::{Path, PathBuf};

use provisioner_core::{Digest, DigestAlgorithm};

use crate::symlink;

/// Describes a folder that names its files by their digests.
#[derive(Debug)]
pub(crate) struct BlobFolder {
    /// The cache that the folder belongs to. A symlink that leads out of the cache counts as no file.
    cache: PathBuf,
    folder: PathBuf,
    /// What stands before the digest in a name.
    prefix: &'static str,
    /// Whether git's id names the small files.
    has_git_ids: bool,
}

impl BlobFolder {
    /// Describes a folder that names its files by their SHA-256, behind a prefix.
    pub(crate) fn new(cache: &Path, folder: PathBuf, prefix: &'static str) -> Self {
        Self { cache: cache.to_owned(), folder, prefix, has_git_ids: false }
    }

    /// Returns the same folder, whose small files have git's id as a name.
    pub(crate) fn with_git_ids(self) -> Self {
        Self { has_git_ids: true, ..self }
    }

    /// Returns where the file with a digest would lie. Returns the target of a symlink that stays inside the cache.
    pub(crate) fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        if digest.algorithm() != DigestAlgorithm::Sha256 && !self.has_git_ids {
            return None;
        }
        let path = self.folder.join(format!("{}{}", self.prefix, digest.hex()));
        if !fs_err::symlink_metadata(&path).ok()?.is_symlink() {
            return Some(path);
        }
        let target = symlink::resolve(&self.cache, &path);
        if target.is_none() {
            tracing::debug!("`{}` is not adopted: it leads out of its cache, or nowhere", path.display());
        }
        target
    }
}
