//! A foreign source with one model, and a cache.

use std::path::{Path, PathBuf};

use model_provisioner::{Bytes, Error, ModelProvisioner, ModelRef};
use sha2::{Digest as _, Sha256};
use testkit::gguf_of;

use crate::custom_fetcher::MemoryFetcher;

/// The id of the source's only model.
pub(crate) const FILE: &str = "mem:org/repo/tiny.gguf";

/// Returns the reference to that model.
pub(crate) fn file() -> ModelRef {
    FILE.parse().unwrap()
}

/// Returns the revision at which the source has some bytes.
pub(crate) fn commit(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))[..40].to_owned()
}

/// Publishes bytes under an id, and under that of their revision.
pub(crate) fn publish(source: &MemoryFetcher, id: &str, bytes: &[u8]) {
    let (repo, name) = id.rsplit_once('/').unwrap();
    let pinned = format!("{repo}@{}/{name}", commit(bytes));
    for id in [id.to_owned(), pinned] {
        source.0.lock().unwrap().insert(id, Bytes::copy_from_slice(bytes));
    }
}

/// A foreign source, and a folder with a cache.
pub(crate) struct Foreign {
    dir: tempfile::TempDir,
    pub(crate) source: MemoryFetcher,
}

impl Foreign {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), source: MemoryFetcher::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Writes a file, and returns where.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        write(&self.path(name), bytes)
    }

    /// Publishes other bytes for each seed, and returns them.
    pub(crate) fn publish(&self, seed: usize) -> Vec<u8> {
        let bytes = gguf_of(5000, seed);
        publish(&self.source, FILE, &bytes);
        bytes
    }

    pub(crate) fn provisioner(&self) -> ModelProvisioner {
        ModelProvisioner::builder(self.cache()).fetcher(self.source.clone()).build().unwrap()
    }
}

/// Returns the code of a failure.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code().as_str()
}

fn write(path: &Path, bytes: &[u8]) -> PathBuf {
    fs_err::write(path, bytes).unwrap();
    path.to_owned()
}
