//! Names the file in which a policy stands.

use std::path::PathBuf;

use crate::digest::Digest;

/// Names a file with rules of a policy, as it was when the provisioner read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyDocument {
    /// The absolute path of the file.
    pub path: PathBuf,
    /// The SHA-256 of the file's bytes.
    pub sha256: Digest,
}

impl PolicyDocument {
    /// Names a file with that text. A relative path begins at the working directory.
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        Self { path, sha256: Digest::sha256_of(text.as_bytes()) }
    }
}
