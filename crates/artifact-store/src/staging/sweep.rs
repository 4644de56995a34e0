//! Removes what dead processes left in staging, and what a whole model does not need any more.

use durable_fs::entries;
use provisioner_core::key_of;

use crate::{
    error::Result,
    files::{discard, is_named},
    gc::leftover::{LeftoverEntry, LeftoverKind},
    layout::{DISCARDED, NEW, Store},
    staging::{
        kind::{Kind, can_go_on},
        partial::{Partial, strip},
        partial_meta::PartialMeta,
        resumable::ResumableTransfers,
    },
};

impl Store {
    /// Removes what dead processes left: partials that they were making or removing, and those that no process can resume,
    /// for their data is a blob already, or another tool's file. An unfinished view keeps the draft of its seal, and nothing
    /// that would keep its blobs on the disk.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn sweep(&self) -> Result<()> {
        let folders = entries(&self.partials())?;
        let trusts_locks = !folders.is_empty() && self.trusts_locks();
        for folder in folders {
            let is_gone = || is_named(&folder, DISCARDED);
            // The process may have died before it made the lock. A live one makes the folder again.
            let is_free =
                || Partial::lock(folder.clone()).is_ok() && (trusts_locks || self.is_quiet(&folder));
            let is_unfinished = || is_named(&folder, NEW) && is_free();
            let is_rest = || !can_go_on(&folder) && self.lock_abandoned(&folder, trusts_locks).is_some();
            if is_gone() || is_unfinished() || is_rest() {
                discard(&folder)?;
            } else if Kind::View.is_at(&folder)
                && let Some(partial) = self.lock_abandoned(&folder, trusts_locks)
            {
                strip(&partial.view())?;
            }
        }
        Ok(())
    }

    /// Removes what unfinished transfers left of a file that has arrived in another way.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn discard_resumable(&self, identity: &str, resumable: &ResumableTransfers) -> Result<()> {
        for folder in resumable.folders_of(identity) {
            if self.lock_abandoned(folder, resumable.trusts_locks).is_some() {
                discard(folder)?;
            }
        }
        Ok(())
    }

    /// Removes what unfinished transfers left for a model that is whole now: of another revision, or of files that arrived in
    /// another way.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn discard_resumable_of(&self, model: &str) -> Result<()> {
        self.discard_transfers(model).map(drop)
    }

    /// Removes the unfinished transfers of a model, but for those that a live process works on. Returns what was removed.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn discard_transfers(&self, id: &str) -> Result<Vec<LeftoverEntry>> {
        let model = key_of(id);
        let is_of = |entry: &LeftoverEntry| {
            let by_key = || PartialMeta::read(&entry.path).is_some_and(|meta| meta.model == model);
            entry.kind == LeftoverKind::Partial && (entry.id.as_deref() == Some(id) || by_key())
        };
        let mut found = self.leftovers()?;
        found.retain(is_of);
        let trusts_locks = !found.is_empty() && self.trusts_locks();
        let mut gone = Vec::new();
        for entry in found {
            if self.lock_abandoned(&entry.path, trusts_locks).is_some() {
                discard(&entry.path)?;
                gone.push(entry);
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn transfer(store: &Store, identity: &str, id: &str) -> PathBuf {
        let partial = store.partial(identity, 9000, id, &ResumableTransfers::default()).unwrap();
        fs_err::write(partial.file().data, [7; 9000]).unwrap();
        fs_err::write(partial.file().journal, "").unwrap();
        partial.folder().to_owned()
    }

    #[test]

    fn unfinished_transfers_say_whose_they_are_and_go_by_id() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let (mine, other) = (transfer(&store, "a", "hf:org/mine"), transfer(&store, "b", "hf:org/other"));
        let alive = store.partial("c", 10, "hf:org/mine", &ResumableTransfers::default()).unwrap();
        let listed = store.leftovers().unwrap();
        let of = |path: &PathBuf| listed.iter().find(|entry| entry.path == *path).unwrap();
        assert_eq!(
            (of(&mine).id.as_deref(), of(&other).id.as_deref()),
            (Some("hf:org/mine"), Some("hf:org/other"))
        );
        assert!(of(&mine).bytes >= 9000 && !of(&mine).is_held, "{listed:?}");
        assert!(of(&alive.folder().to_owned()).is_held);
        let gone = store.discard_transfers("hf:org/mine").unwrap();
        assert_eq!((gone.len(), &gone[0].path), (1, &mine));
        assert!(!mine.exists() && other.exists() && alive.folder().exists());
        assert_eq!(store.discard_transfers("hf:org/none").unwrap(), []);
    }

    #[test]
    fn a_transfer_of_an_older_release_is_found_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let folder = transfer(&store, "a", "hf:org/mine");
        PartialMeta { id: None, ..PartialMeta::read(&folder).unwrap() }.write(&folder).unwrap();
        assert_eq!(store.leftovers().unwrap()[0].id, None);
        assert_eq!(store.discard_transfers("hf:org/mine").unwrap().len(), 1);
    }
}
