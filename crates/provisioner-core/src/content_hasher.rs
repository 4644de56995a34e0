//! Hashes bytes as they come.

use paired_sha256::{Sha256, update_both};
use sha1::{Digest as _, Sha1};

use crate::digest::Digest;

/// Computes the digests of one file from its bytes, which come in pieces and in order. The hasher reads no file.
///
/// ```
/// use provisioner_core::ContentHasher;
///
/// let mut hasher = ContentHasher::with_git_id(2);
/// hasher.update(b"{");
/// hasher.update(b"}");
/// let digests = hasher.finish();
/// assert!(digests.sha256.hex().starts_with("44136fa3"));
/// // printf '{}' | git hash-object --stdin
/// assert_eq!(digests.git_sha1.unwrap().hex(), "9e26dfeeb6e641a33dae4961196235bdb965b21b");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContentHasher {
    sha256: Sha256,
    git: Option<Sha1>,
}

/// Holds the digests of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDigests {
    /// The SHA-256 of the bytes.
    pub sha256: Digest,
    /// Git's id of the bytes, where the caller asked for it.
    pub git_sha1: Option<Digest>,
}

impl ContentHasher {
    /// Begins with a SHA-256 alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with a SHA-256 and git's id. The id depends on the size of the file, in bytes: for a file that turns out to
    /// have another size, the id is wrong.
    pub fn with_git_id(size_bytes: u64) -> Self {
        let git = Sha1::new().chain_update(format!("blob {size_bytes}\0"));
        Self { git: Some(git), ..Self::default() }
    }

    /// Begins with git's id only where the caller wants it.
    pub fn of_size(size_bytes: u64, wants_git_id: bool) -> Self {
        if wants_git_id { Self::with_git_id(size_bytes) } else { Self::new() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
    }

    /// Takes the next bytes of two files. Of as many bytes as both have, it takes less time than of one file after the other, where
    /// [`is_quicker_in_pairs`](paired_sha256::is_quicker_in_pairs).
    pub fn update_both(one: (&mut Self, &[u8]), other: (&mut Self, &[u8])) {
        let ((one, one_bytes), (other, other_bytes)) = (one, other);
        update_both((&mut one.sha256, one_bytes), (&mut other.sha256, other_bytes));
        for (hasher, bytes) in [(one, one_bytes), (other, other_bytes)] {
            if let Some(git) = &mut hasher.git {
                git.update(bytes);
            }
        }
    }

    /// Returns the digests of all bytes.
    pub fn finish(self) -> ContentDigests {
        ContentDigests {
            sha256: Digest::sha256(self.sha256.finish()),
            git_sha1: self.git.map(|git| Digest::git_sha1(git.finalize().into())),
        }
    }
}
