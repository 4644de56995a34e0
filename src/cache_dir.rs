//! Names the files in the cache's folder, and keeps the folder safe from other users.
//!
//! ```text
//! <cache>/
//!   catalog-v1/          the catalog: see the crate `catalog-adapter`
//!   provenance*.jsonl    what each process did, and why it trusted the bytes: see the crate `provenance-log`
//!   provenance.lock      held by the process that appends to that log
//!   store-v1/            fetched models, and when a caller last asked for each: see the crate `artifact-store`
//! ```
//!
//! # The temp folder as cache
//! A folder that is sticky and that every user may write to, such as `/tmp`, is not fit for a catalog: another user could
//! plant records in it. There the provisioner puts everything below `model-provisioner-<uid>/`, which must be a real
//! folder of this user, closed to all others. As the parent is sticky, no other user can move it away.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use artifact_store::Store;
use catalog_adapter::FsCatalog;
use provenance_log::Log;

use crate::error::{Error, Result};

const STORE: &str = "store-v1";

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;
const ALL_OTHERS: u32 = 0o077;

/// Holds the folder of a cache, as an absolute path.
#[derive(Clone, Debug)]
pub(crate) struct CacheDir {
    root: PathBuf,
}

impl CacheDir {
    /// Returns the cache in a folder, or below a folder that every user may write to. It creates the private folder, and
    /// no other.
    pub(crate) fn at(folder: &Path) -> Result<Self> {
        let failed =
            |error| Error::storage(format!("the cache `{}` cannot be used", folder.display()), error);
        let folder = std::path::absolute(folder).map_err(failed)?;
        match fs_err::metadata(&folder) {
            Ok(metadata) if !metadata.is_dir() => {
                Err(Error::UnsafeCache { path: folder, reason: "it is not a folder".to_owned() })
            }
            Ok(metadata) if metadata.mode() & (STICKY | OTHERS_WRITE) == STICKY | OTHERS_WRITE => {
                let uid = rustix::process::geteuid().as_raw();
                let root = folder.join(format!("model-provisioner-{uid}"));
                make_private(&root, uid)?;
                Ok(Self { root })
            }
            Ok(metadata) if !durable_fs::is_trusted(metadata.uid()) => {
                Err(Error::UnsafeCache { path: folder, reason: "it belongs to another user".to_owned() })
            }
            Ok(_) => {
                check_real(&FsCatalog::folder_in(&folder))?;
                check_real(&folder.join(STORE))?;
                Ok(Self { root: folder })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { root: folder }),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether a path is that of the catalog, the store or the log, or lies in one of them. It has no symlink in it.
    pub(crate) fn owns(&self, path: &Path) -> bool {
        let Ok(root) = fs_err::canonicalize(&self.root) else { return false };
        let Ok(below) = path.strip_prefix(&root) else { return false };
        let Some(first) = below.components().next() else { return false };
        let first = first.as_os_str();
        let is_folder = |folder: &Path| folder.file_name() == Some(first);
        is_folder(&FsCatalog::folder_in(&root))
            || first == STORE
            || first.to_str().is_some_and(provenance_log::is_file_name)
    }

    /// Returns the log of what each process did.
    pub(crate) fn provenance(&self) -> Log {
        Log::new(&self.root)
    }

    /// Returns the store of fetched models.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.root.join(STORE))
    }
}

/// Fails where a folder is a symlink or a file, or belongs to a user other than this one and root.
fn check_real(folder: &Path) -> Result<()> {
    let Ok(metadata) = fs_err::symlink_metadata(folder) else { return Ok(()) };
    if metadata.is_dir() && durable_fs::is_trusted(metadata.uid()) {
        return Ok(());
    }
    let reason = "it is a symlink, no folder, or another user's".to_owned();
    Err(Error::UnsafeCache { path: folder.to_owned(), reason })
}

/// Creates a folder that only this user can enter, or fails where another user can enter the existing one.
fn make_private(folder: &Path, uid: u32) -> Result<()> {
    match fs_err::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
            match made {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::storage(format!("cannot create `{}`", folder.display()), error));
                }
                _ => {}
            }
        }
        _ => {}
    }
    let failed = |error| Error::storage(format!("the cache `{}` cannot be used", folder.display()), error);
    let metadata = fs_err::symlink_metadata(folder).map_err(failed)?;
    let reason = if metadata.is_symlink() {
        "it is a symlink in a folder that every user may write to"
    } else if !metadata.is_dir() {
        "it is not a folder"
    } else if metadata.uid() != uid {
        "it belongs to another user"
    } else if metadata.mode() & ALL_OTHERS != 0 {
        "other users may enter it; its mode must be 0700"
    } else {
        return Ok(());
    };
    Err(Error::UnsafeCache { path: folder.to_owned(), reason: reason.to_owned() })
}
