//! Makes a store in a temporary folder, for the tests of this crate.

use std::{os::unix::fs::MetadataExt, path::Path};

use provisioner_core::{
    CatalogRecord, Digest, Entry, Expectation, Format, Locator, Manifest, ManifestFile, ModelRef,
    RelativePath, StagedFile, StagedModel, Stamp, Timestamp, VerifiedModel,
};
use sha2::{Digest as _, Sha256};

use crate::{blobs::blob::Blob, error::Result, layout::Store, locks::store_lock::STORE_LOCK_WAIT};

/// Holds a store, and the folder in which it lies.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Fixture {
    /// Makes an empty store.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store-v1"));
        Self { dir, store }
    }

    /// Returns a model of these files, staged and judged.
    pub(crate) fn model(&self, id: &str, revision: &str, files: &[(&str, &str)]) -> VerifiedModel {
        let path = |name: &str| RelativePath::new(name).unwrap();
        let listed = files.iter().map(|(name, text)| ManifestFile {
            path: path(name),
            size: text.len() as u64,
            digest: Some(sha256(text.as_bytes())),
            locator: Locator::Stored,
        });
        let reference: ModelRef = id.parse().unwrap();
        let manifest =
            Manifest::new(reference, listed.collect(), Entry::Folder).unwrap().at_revision(revision);
        let staged = files.iter().enumerate().map(|(index, (name, text))| {
            let location = self.dir.path().join(format!("staged-{index}"));
            fs_err::write(&location, text).unwrap();
            StagedFile {
                path: path(name),
                stamp: Stamp::of(&fs_err::metadata(&location).unwrap()),
                location: location.into(),
                settled: true,
                format: Format::Other,
                sha256: Some(sha256(text.as_bytes())),
                git_sha1: None,
            }
        });
        let staged = StagedModel::new(manifest, staged.collect()).unwrap();
        staged.judge(&Expectation::none(), &[], Timestamp::UNIX_EPOCH).unwrap()
    }

    /// Commits a model.
    pub(crate) fn commit(&self, model: &VerifiedModel) -> CatalogRecord {
        self.try_commit(model).unwrap()
    }

    /// Commits a model under the store lock.
    pub(crate) fn try_commit(&self, model: &VerifiedModel) -> Result<CatalogRecord> {
        let lock = self.store.lock_shared(STORE_LOCK_WAIT)?;
        self.store.commit(&lock, model, Timestamp::UNIX_EPOCH, &|_| true)
    }
}

/// Returns the number of the inode at a path.
pub(crate) fn inode(path: &Path) -> u64 {
    fs_err::metadata(path).unwrap().ino()
}

/// Returns the SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(Sha256::digest(bytes).into())
}

/// Puts a blob into the store.
pub(crate) fn insert(store: &Store, bytes: &[u8]) -> Blob {
    durable_fs::create_folders(store.root()).unwrap();
    let data = store.root().join("data");
    fs_err::write(&data, bytes).unwrap();
    store.insert(&data, &sha256(bytes)).unwrap()
}
