//! Checks the space on the disk before a transfer uses it.

use std::path::Path;

use crate::{
    error::{Error, Result},
    files::free_bytes,
    layout::{LOCK, Store},
    locks::trust::is_held,
    staging::{partial_file::arrived_bytes, partial_meta::PartialMeta},
};

impl Store {
    /// Checks that so many bytes fit beside those that other transfers in progress will still write.
    ///
    /// # Errors
    /// [`Error::NoSpace`], with the bytes that are needed and those that are free.
    pub fn check_space(&self, needed_bytes: u64) -> Result<()> {
        durable_fs::create_folders(self.root())?;
        let free_bytes = free_bytes(self.root())?.saturating_sub(self.promised()?);
        if needed_bytes <= free_bytes {
            return Ok(());
        }
        Err(Error::NoSpace { path: self.root().to_owned(), needed_bytes, free_bytes })
    }

    /// Returns how many bytes the transfers of live processes will still write.
    pub(crate) fn promised(&self) -> Result<u64> {
        let folders = self.partial_folders()?;
        Ok(folders
            .iter()
            .filter(|folder| is_held(&folder.join(LOCK)))
            .filter_map(|folder| outstanding(folder))
            .fold(0, u64::saturating_add))
    }
}

/// Returns the size that a partial will have, less the blocks that it has.
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
