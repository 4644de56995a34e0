//! Prepares the start of every journey: a folder, a cache in it, and models.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use model_provisioner::{Digest, Error, ModelProvisioner, ModelRef, ProgressEvent, ProgressSink};
use sha2::{Digest as _, Sha256};

pub(crate) struct Fixture {
    dir: tempfile::TempDir,
    pub(crate) hashing: Hashing,
}

/// Counts the bytes that the provisioner hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hashing {
    bytes: Arc<AtomicU64>,
}

impl Hashing {
    /// Returns how many bytes the provisioner began to hash since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.bytes.swap(0, Ordering::SeqCst)
    }
}

impl ProgressSink for Hashing {
    fn on_event(&self, event: &ProgressEvent) {
        if let ProgressEvent::HashStarted { total_bytes, .. } = event {
            self.bytes.fetch_add(*total_bytes, Ordering::SeqCst);
        }
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), hashing: Hashing::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    pub(crate) fn provisioner(&self) -> ModelProvisioner {
        ModelProvisioner::builder(self.cache()).progress(self.hashing.clone()).build().unwrap()
    }

    /// Writes a file, and sets its modification time back by an hour.
    pub(crate) fn old_file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.fresh_file(name, bytes);
        set_age(&path, Duration::from_secs(3600));
        path
    }

    pub(crate) fn fresh_file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Reads the lines of the provenance log.
    pub(crate) fn provenance(&self) -> Vec<serde_json::Value> {
        let text = fs_err::read_to_string(self.cache().join("provenance.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "the age is of now")]
pub(crate) fn set_age(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// Writes other bytes of the same length into a file, in place, and sets its modification time back.
pub(crate) fn rewrite_in_place(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let modified = fs_err::metadata(path).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_modified(modified).unwrap();
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(Sha256::digest(bytes).into())
}

pub(crate) fn reference(path: &Path) -> ModelRef {
    ModelRef::parse(path.to_str().unwrap(), None).unwrap()
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code().as_str()
}
