//! A file of a commit, and git's name for it.

use bytes::Bytes;
use sha1::{Digest as _, Sha1};

use super::content::Content;

/// A file of a commit.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    /// The id of the git blob: of the file, or of the pointer that stands for it.
    pub(super) oid: String,
    /// The SHA-256 of a large file, in hex.
    pub(super) sha256: Option<String>,
    pub(super) pointer_size: usize,
    /// Its hash in Xet, where it lies there too.
    pub(super) xet_hash: Option<String>,
    /// What the scanners say of it.
    pub(super) scan: Option<String>,
}

impl Entry {
    pub(super) fn git(bytes: Bytes) -> Self {
        Self {
            oid: git_oid(&bytes),
            content: Content::Bytes(bytes),
            sha256: None,
            pointer_size: 0,
            xet_hash: None,
            scan: None,
        }
    }

    pub(super) fn lfs(content: Content, sha256: String) -> Self {
        let size = content.size();
        let pointer =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n");
        let oid = git_oid(pointer.as_bytes());
        Self { content, oid, sha256: Some(sha256), pointer_size: pointer.len(), xet_hash: None, scan: None }
    }

    /// Returns what names the content: the SHA-256 of a large file, the git id of a small one.
    pub(super) fn etag(&self) -> &str {
        self.sha256.as_deref().unwrap_or(&self.oid)
    }
}

/// Computes git's id of a blob.
pub(crate) fn git_oid(bytes: &[u8]) -> String {
    let header = format!("blob {}\0", bytes.len());
    hex::encode(Sha1::new().chain_update(header).chain_update(bytes).finalize())
}
