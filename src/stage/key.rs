//! Names the key under which the store keeps a partial.

use std::fmt;

use artifact_store::ResumableTransfers;
use provisioner_core::{Digest, ManifestFile, ModelRef, RelativePath};

/// Identifies the content of a partial, so that a later call can resume it. The store hashes its text into a file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartialKey {
    /// A file whose digest its source lists: any model that has the same bytes resumes it.
    Content(Digest),
    /// A file whose source lists no digest, by its model and its path.
    Place { model: String, path: RelativePath },
    /// The same file while a call takes it from another tool. A transfer must not resume it.
    AdoptedFile(Box<Self>),
    /// A file that a call is importing.
    Imported { model: String, path: RelativePath },
}

impl PartialKey {
    /// Returns the key of a file that is fetched.
    pub(crate) fn of(reference: &ModelRef, file: &ManifestFile) -> Self {
        match &file.digest {
            Some(digest) => Self::Content(digest.clone()),
            None => Self::Place { model: reference.id(), path: file.path.clone() },
        }
    }

    /// Returns the key of the same file while a call takes it from another tool.
    pub(crate) fn adopted(&self) -> Self {
        Self::AdoptedFile(Box::new(self.clone()))
    }
}

impl fmt::Display for PartialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(digest) => digest.fmt(f),
            Self::Place { model, path } => write!(f, "{model}/{path}"),
            Self::AdoptedFile(key) => write!(f, "adopt {key}"),
            Self::Imported { model, path } => write!(f, "import {model}/{path}"),
        }
    }
}

/// Returns how many bytes of a file an earlier transfer left on the disk; `None` where none left any.
pub(crate) fn left_of(reference: &ModelRef, file: &ManifestFile, left: &ResumableTransfers) -> Option<u64> {
    left.bytes_of(&reference.id(), &PartialKey::of(reference, file).to_string(), &file.path)
}

/// Returns how many bytes of a file the source still has to send.
pub(crate) fn to_fetch(reference: &ModelRef, file: &ManifestFile, left: &ResumableTransfers) -> u64 {
    file.size.saturating_sub(left_of(reference, file, left).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use provisioner_core::Locator;

    use super::*;

    #[test]
    fn the_keys_of_partials_on_disk_never_change() {
        let reference: ModelRef = "hf:org/repo/a.gguf".parse().unwrap();
        let path = RelativePath::new("a.gguf").unwrap();
        let locator = Locator::Stored;
        let mut file = ManifestFile { path: path.clone(), size: 1, digest: None, locator };
        let place = PartialKey::of(&reference, &file);
        assert_eq!(place.to_string(), "hf:org/repo/a.gguf/a.gguf");
        assert_eq!(place.adopted().to_string(), "adopt hf:org/repo/a.gguf/a.gguf");
        file.digest = Some(Digest::sha256([0xab; 32]));
        assert_eq!(PartialKey::of(&reference, &file).to_string(), format!("sha256:{}", "ab".repeat(32)));
        let imported = PartialKey::Imported { model: reference.id(), path };
        assert_eq!(imported.to_string(), "import hf:org/repo/a.gguf/a.gguf");
    }
}
