//! The store's folder, and what is where in it.

use std::path::{Path, PathBuf};

use durable_fs::LockTrust;
use provisioner_core::{Digest, RelativePath, key_of};

use crate::Result;

/// A store in a folder. Creates nothing before the first write. Every call may block.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store in a folder, such as `<cache>/store-v1`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn blob_path(&self, sha256: &Digest) -> PathBuf {
        let (folder, name) = sha256.hex().split_at(2);
        self.root.join("blobs/sha256").join(folder).join(name)
    }

    pub(crate) fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub(crate) fn quarantined(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Whether locks in the store keep everybody out.
    pub(crate) fn lock_trust(&self) -> Result<LockTrust> {
        durable_fs::create_folders(&self.locks())?;
        Ok(durable_fs::lock_trust(&self.locks().join("probe"))?)
    }

    /// Makes sure that locks keep everybody out: otherwise nobody knows what is in use.
    ///
    /// # Errors
    /// [`Error::Doubtful`](crate::Error::Doubtful); [`Error::Io`](crate::Error::Io).
    pub fn check_locks(&self) -> Result<()> {
        match self.lock_trust()? {
            LockTrust::Honest => Ok(()),
            LockTrust::Doubtful(reason) => {
                Err(crate::Error::Doubtful { path: self.root().to_owned(), reason })
            }
        }
    }

    pub(crate) fn trusts_locks(&self) -> bool {
        self.lock_trust().is_ok_and(|trust| trust == LockTrust::Honest)
    }

    pub(crate) fn used(&self, id: &str) -> PathBuf {
        self.root.join("used").join(key_of(id))
    }

    /// Where a view lies, or will lie.
    pub fn view(&self, path: &RelativePath) -> PathBuf {
        self.models().join(path)
    }

    /// What a view is called where no id is known.
    pub(crate) fn name_of_view(&self, root: &Path) -> String {
        root.strip_prefix(self.models()).unwrap_or(root).display().to_string()
    }

    /// Moves something that was found to be wrong out of the way.
    pub(crate) fn quarantine(&self, path: &Path) -> Result<PathBuf> {
        let folder = self.quarantined();
        durable_fs::create_folders(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = tempfile::Builder::new().prefix(&format!("{name}.")).tempdir_in(&folder)?.keep();
        let aside = place.join(name);
        durable_fs::rename(path, &aside)?;
        tracing::warn!("`{}` was found to be wrong and is now `{}`", path.display(), aside.display());
        Ok(aside)
    }
}
