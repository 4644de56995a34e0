//! Names the store's folder, and where everything lies in it. The crate's documentation draws the tree.

use std::path::{Path, PathBuf};

use provisioner_core::{Digest, RelativePath, key_of};

/// The name of a seal, and of the draft of one.
pub(crate) const SEAL: &str = ".model.json";

/// The name that a seal gets when the removal of its view begins.
pub(crate) const REMOVED: &str = ".removed.json";

/// The name of the lock of a partial.
pub(crate) const LOCK: &str = "lock";

/// The name of the file that describes a partial.
pub(crate) const META: &str = "about";

/// The name of the bytes of a partial.
pub(crate) const DATA: &str = "data";

/// The name of the journal of a partial, and the extension of a small file's.
pub(crate) const JOURNAL: &str = "journal";

/// The name of the folder of small files in a partial.
pub(crate) const SMALL: &str = "small";

/// The name of a link to a file of another tool, or the extension of one.
pub(crate) const LINKED: &str = "linked";

/// The name of the folder of a partial in which a program of a source downloads.
pub(crate) const SCRATCH: &str = "scratch";

/// The name of the folder of an unfinished view in a partial.
pub(crate) const VIEW: &str = "view";

/// The start of the name of a folder that a process is removing.
pub(crate) const DISCARDED: &str = ".gone.";

/// The start of the name of a partial that a process is making.
pub(crate) const NEW: &str = ".new.";

/// Gives access to a store in a folder. The store creates nothing before the first write. Every call may block.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Returns the store in a folder, such as `<cache>/store-v1`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder that holds the folders of blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(crate) fn blob_path(&self, sha256: &Digest) -> PathBuf {
        let hex = sha256.hex();
        let (folder, name) = hex.split_at(2);
        self.blobs().join(folder).join(name)
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

    pub(crate) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    pub(crate) fn last_uses(&self) -> PathBuf {
        self.root.join("used")
    }

    /// Returns the path of the store lock.
    pub(crate) fn store_lock_path(&self) -> PathBuf {
        self.locks().join("gate")
    }

    /// Returns the path of a model's lock.
    pub(crate) fn model_lock_path(&self, id: &str) -> PathBuf {
        self.locks().join(key_of(id))
    }

    /// Returns the path of the file on which a lease holds a lock: of the view, which several ids may share; or of the id,
    /// where the model is not in the store.
    pub(crate) fn lease_path(&self, root: &Path, id: &str) -> PathBuf {
        let claimed = root.strip_prefix(self.models()).map_or(id.into(), Path::to_string_lossy);
        self.leases().join(key_of(&claimed))
    }

    /// Returns the path of the file that says when a caller last used a model.
    pub(crate) fn last_use_path(&self, id: &str) -> PathBuf {
        self.last_uses().join(key_of(id))
    }

    /// Returns the path of a view, which may not be there yet.
    pub fn view(&self, path: &RelativePath) -> PathBuf {
        self.models().join(path)
    }

    /// Returns whether a path lies below the folder of all views.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(self.models())
    }

    /// Returns the path of a view below the folder of all views.
    pub(crate) fn below_models<'a>(&self, root: &'a Path) -> &'a Path {
        root.strip_prefix(self.models()).unwrap_or(root)
    }

    /// Returns the name of a view whose id is not recorded.
    pub(crate) fn name_of_view(&self, root: &Path) -> String {
        self.below_models(root).display().to_string()
    }
}

/// Returns the path of the view that a commit builds in a partial.
pub(crate) fn view_of(partial: &Path) -> PathBuf {
    partial.join(VIEW)
}

/// Returns the path of the stamp of a blob.
pub(crate) fn stamp_path(blob: &Path) -> PathBuf {
    blob.with_extension("stamp")
}
