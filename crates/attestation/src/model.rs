//! Holds what a statement says of a model.

use provisioner_core::{CatalogRecord, Digest, ModelRef, Outcome, RelativePath, sha256_tree};

use crate::error::{Error, Result};

/// Names a file of a model by its path and its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestedFile {
    /// The path in the model.
    pub path: RelativePath,
    /// The size, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the file's bytes.
    pub sha256: Digest,
}

/// Holds a recorded model of which something can be stated: it did not fail, and each of its files has a SHA-256.
#[derive(Clone, Debug)]
pub struct StatedModel<'a> {
    pub(crate) record: &'a CatalogRecord,
    pub(crate) reference: &'a ModelRef,
    pub(crate) files: Vec<DigestedFile>,
}

impl<'a> StatedModel<'a> {
    /// Takes a record. `reference` is the one that the record is of.
    ///
    /// # Errors
    /// [`Error::Failed`], [`Error::NoFiles`] and [`Error::NoDigest`].
    pub fn new(reference: &'a ModelRef, record: &'a CatalogRecord) -> Result<Self> {
        if record.verification.outcome == Outcome::Fail {
            return Err(Error::Failed { reason: record.verification.reason.clone() });
        }
        if record.files.is_empty() {
            return Err(Error::NoFiles);
        }
        let files = record.files.iter().map(|file| {
            let sha256 = file.sha256.clone().ok_or_else(|| Error::NoDigest { path: file.path.clone() })?;
            Ok(DigestedFile { path: file.path.clone(), size_bytes: file.stamp.size, sha256 })
        });
        Ok(Self { record, reference, files: files.collect::<Result<_>>()? })
    }

    /// Returns the digest of the set of files. In-toto calls it `dirHash`: the two are computed alike.
    pub fn tree(&self) -> Digest {
        sha256_tree(self.files.iter().map(|file| (&file.path, &file.sha256)))
    }

    /// Returns the files, in the order of their paths.
    pub fn files(&self) -> &[DigestedFile] {
        &self.files
    }
}
