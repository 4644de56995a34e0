//! Space, before it is used.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use crate::{Error, Result, Store, partial_file::arrived_bytes, partial_meta::PartialMeta};

impl Store {
    /// Makes sure that so many bytes fit beside what other transfers in progress will still take.
    ///
    /// # Errors
    /// [`Error::NoSpace`], with what is needed and what is free.
    pub fn check_space(&self, needed_bytes: u64) -> Result<()> {
        durable_fs::create_folders(self.root())?;
        let free_bytes = free_bytes(self.root())?.saturating_sub(self.promised()?);
        if needed_bytes <= free_bytes {
            return Ok(());
        }
        Err(Error::NoSpace { path: self.root().to_owned(), needed_bytes, free_bytes })
    }

    /// What the transfers of live processes will still write.
    pub(crate) fn promised(&self) -> Result<u64> {
        let folders = self.partial_folders()?;
        Ok(folders
            .iter()
            .filter(|folder| is_held(&folder.join("lock")))
            .filter_map(|folder| outstanding(folder))
            .fold(0, u64::saturating_add))
    }
}

/// How many bytes the file system of a folder has free for this user.
///
/// # Errors
/// What the operating system says.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Whether somebody has a lock. It creates nothing.
pub(crate) fn is_held(lock: &Path) -> bool {
    lock.exists() && matches!(durable_fs::lock(lock, Duration::ZERO), Err(durable_fs::Error::Busy { .. }))
}

/// What a file takes on the disk; nothing where there is none.
pub(crate) fn allocated_bytes(path: &Path) -> u64 {
    fs_err::symlink_metadata(path).map_or(0, |metadata| allocated(&metadata))
}

pub(crate) fn allocated(metadata: &Metadata) -> u64 {
    metadata.blocks() * 512
}

/// The size that a partial will have, less the blocks that it has.
fn outstanding(folder: &Path) -> Option<u64> {
    Some(PartialMeta::read(folder)?.size_bytes.saturating_sub(arrived_bytes(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_refused_with_figures() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store"));
        store.check_space(0).unwrap();
        let free = match store.check_space(u64::MAX) {
            Err(Error::NoSpace { needed_bytes: u64::MAX, free_bytes, .. }) => free_bytes,
            other => panic!("{other:?}"),
        };
        let _held = store.partial("large", free / 2, "model", &store.resumable().unwrap()).unwrap();
        assert!(store.check_space(free / 4 * 3).is_err(), "another transfer will take half of it");
    }
}
