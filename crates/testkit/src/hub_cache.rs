//! Builds a cache in the layout of the Hub's own tools.
//!
//! ```text
//! <cache>/models--<org>--<repo>/
//!   blobs/<etag>                the bytes; or a link to `../../blobs/<2 hex>/<xet hash>`
//!   refs/<branch>               the commit
//!   snapshots/<commit>/PATH     a link to the blob; without symlinks, the file itself
//!   trees/<commit>.json         the listing
//! ```
//!
//! Source: `file_download.py`, `_tree_cache.py` and `utils/_shared_blobs.py` of `huggingface_hub` 2.4.0.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::hub::git_oid;

/// Builds one commit of a repository in such a cache. Each call writes the file that it names; [`write_tree`](Self::write_tree)
/// writes the listing.
#[derive(Clone, Debug)]
#[must_use = "the listing is written by `write_tree`"]
pub struct HubCache {
    cache: PathBuf,
    repo: PathBuf,
    commit: String,
    has_symlinks: bool,
    tree: Map<String, Value>,
}

impl HubCache {
    /// Begins an empty commit, which the branch `main` names.
    ///
    /// # Panics
    /// Where the disk fails, as all methods do.
    pub fn new(cache: &Path, repo: &str, commit: &str) -> Self {
        let folder = cache.join(format!("models--{}", repo.replace('/', "--")));
        let new = Self {
            cache: cache.to_owned(),
            repo: folder,
            commit: commit.to_owned(),
            has_symlinks: true,
            tree: Map::new(),
        };
        new.branch("main")
    }

    /// Puts files into the snapshot itself from here on, without symlinks.
    pub fn without_symlinks(mut self) -> Self {
        self.has_symlinks = false;
        self
    }

    /// Names the commit by one more branch or tag.
    pub fn branch(self, name: &str) -> Self {
        write(&self.repo.join("refs").join(name), self.commit.as_bytes());
        self
    }

    /// Adds a large file of these bytes.
    pub fn lfs(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let etag = sha256(&bytes);
        self.keep(path, &etag, bytes.as_ref());
        self.listed(path, bytes)
    }

    /// Adds a small file of these bytes.
    pub fn file(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let oid = git_oid(bytes.as_ref());
        self.keep(path, &oid, bytes.as_ref());
        self.tree.insert(path.to_owned(), json!({ "size": bytes.as_ref().len(), "blob_id": oid }));
        self
    }

    /// Adds a large file that came through Xet: it lies in the store that all repositories share.
    ///
    /// # Panics
    /// Where the disk fails.
    pub fn xet(self, path: &str, bytes: impl AsRef<[u8]>, xet_hash: &str) -> Self {
        let (etag, place) = (sha256(&bytes), Path::new("blobs").join(&xet_hash[..2]).join(xet_hash));
        let stored = self.cache.join(&place);
        write(&stored, bytes.as_ref());
        fs_err::set_permissions(&stored, PermissionsExt::from_mode(0o444)).unwrap();
        write(&self.cache.join("blobs/.huggingface-shared-blobs"), b"1\n");
        self.link_blob(path, &etag, &Path::new("../..").join(place));
        self.listed(path, bytes)
    }

    /// Adds a large file that is a link to another place.
    pub fn linked(self, path: &str, bytes: impl AsRef<[u8]>, target: &Path) -> Self {
        let etag = sha256(&bytes);
        self.link_blob(path, &etag, target);
        self.listed(path, bytes)
    }

    /// Adds a large file to the listing alone: it was not downloaded.
    pub fn listed(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let (size, sha256) = (bytes.as_ref().len(), sha256(&bytes));
        // The id of a pointer, which nothing here leans on.
        let blob_id = git_oid(sha256.as_bytes());
        let listed = json!({ "size": size, "blob_id": blob_id, "lfs_sha256": sha256, "lfs_size": size });
        self.tree.insert(path.to_owned(), listed);
        self
    }

    /// Writes the listing, and returns its path.
    pub fn write_tree(&self) -> PathBuf {
        let path = self.repo.join("trees").join(format!("{}.json", self.commit));
        let tree = json!({ "format_version": 1, "files": self.tree });
        write(&path, tree.to_string().as_bytes());
        path
    }

    /// Returns the folder of the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> PathBuf {
        self.repo.join("snapshots").join(&self.commit)
    }

    fn keep(&self, path: &str, etag: &str, bytes: &[u8]) {
        if self.has_symlinks {
            write(&self.repo.join("blobs").join(etag), bytes);
            self.link_snapshot(path, etag);
        } else {
            write(&self.snapshot().join(path), bytes);
        }
    }

    fn link_blob(&self, path: &str, etag: &str, target: &Path) {
        let blob = self.repo.join("blobs").join(etag);
        fs_err::create_dir_all(blob.parent().unwrap()).unwrap();
        symlink(target, blob).unwrap();
        self.link_snapshot(path, etag);
    }

    fn link_snapshot(&self, path: &str, etag: &str) {
        let link = self.snapshot().join(path);
        fs_err::create_dir_all(link.parent().unwrap()).unwrap();
        let up = "../".repeat(path.matches('/').count() + 2);
        symlink(format!("{up}blobs/{etag}"), link).unwrap();
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn write(path: &Path, bytes: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, bytes).unwrap();
}
