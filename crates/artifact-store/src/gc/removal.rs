//! Removes views and leftovers.
//!
//! # Order
//! The caller holds the exclusive store lock, and blocks leases, before anything else. Then the seal becomes the mark of a
//! removal, durably: from here on, no catalog learns of the view again. Then the caller removes the records from the catalog.
//! Then the view gets a hidden name and is removed, and then the blobs that no other view has.
//!
//! # Crash safety
//! The next removal, `gc` or `doctor` finishes a view with a mark. Or the next `ensure` of its id makes the view whole
//! again, after it has looked at the files. Hidden folders and blobs without a view are leftovers, which `gc` removes.

use std::{
    io,
    path::{Path, PathBuf},
};

use durable_fs::entries;
use provisioner_core::Digest;

use crate::{
    error::{Error, Result},
    files::{discard, is_folder, is_named, remove, unlink},
    gc::{
        eviction::Swept,
        inventory::{EvictionUnit, RefCounts, StoreInventory},
        leftover::{Leftover, LeftoverKind},
    },
    layout::{DISCARDED, LOCK, REMOVED, SEAL, Store},
    locks::{lease::LeaseBlock, store_lock::StoreLock},
    views::seal::read_mark,
};

/// Holds an inventory that no other process changes, and counts what the caller removes of it.
#[derive(Debug)]
pub struct Removals {
    store: Store,
    inventory: StoreInventory,
    ref_counts: RefCounts,
    _lock: StoreLock,
}

/// Holds a view whose removal has begun.
#[derive(Debug)]
#[must_use = "it is finished by `finish`"]
pub struct Removal {
    root: PathBuf,
    inodes: Box<[u32]>,
    block: LeaseBlock,
}

impl Store {
    /// Begins to remove from an inventory, which the caller made under this exclusive store lock.
    pub fn removals(&self, store_lock: StoreLock, inventory: StoreInventory) -> Removals {
        Removals { store: self.clone(), ref_counts: RefCounts::new(&inventory), inventory, _lock: store_lock }
    }

    /// Gives a view a hidden name, and removes it and the folders above that become empty.
    pub(crate) fn remove_view(&self, root: &Path) -> Result<()> {
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parent = root.parent().unwrap_or(root);
        let hidden =
            tempfile::Builder::new().prefix(&format!("{DISCARDED}{name}.")).tempdir_in(parent)?.keep();
        // A folder can replace an empty one.
        match durable_fs::rename(root, &hidden) {
            // A folder of an image's lower layer has to be copied to be renamed, and overlayfs leaves that to this process.
            Err(durable_fs::Error::Io(error)) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs_err::remove_dir(&hidden)?;
                remove_in_place(root)?;
            }
            renamed => {
                renamed?;
                fs_err::remove_dir_all(&hidden)?;
            }
        }
        self.prune(root);
        Ok(())
    }

    /// Removes the folders above a view that are empty now.
    fn prune(&self, root: &Path) {
        let models = self.models();
        let above = root.ancestors().skip(1).take_while(|folder| *folder != models);
        for folder in above {
            if fs_err::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

impl Removals {
    /// Returns the inventory, as the caller made it.
    pub fn inventory(&self) -> &StoreInventory {
        &self.inventory
    }

    /// Returns the entry of a view in the inventory.
    pub fn view(&self, root: &Path) -> Option<&EvictionUnit> {
        self.inventory.view(root)
    }

    /// Returns whether a caller asked for one of a view's ids since the inventory was made.
    pub fn is_used_since(&self, root: &Path) -> bool {
        let used = |view: &EvictionUnit| view.ids.iter().filter_map(|id| self.store.last_used(id)).max();
        self.view(root).is_some_and(|view| used(view) != view.used_at)
    }

    /// Checks that no process uses a view, and begins its removal. From here on the view does not come back.
    ///
    /// # Errors
    /// [`Error::Leased`]; [`Error::UntrustedLocks`]; [`Error::NotOurs`] for a path that is not a view; [`Error::Io`].
    pub fn begin(&self, root: &Path) -> Result<Removal> {
        let not_ours = || Error::NotOurs(format!("`{}` is no view of this store", root.display()));
        let view = self.view(root).ok_or_else(not_ours)?;
        let block = self.store.block_leases(root, view.ids.first().map_or("", |id| id))?;
        match durable_fs::rename(&root.join(SEAL), &root.join(REMOVED)) {
            Err(durable_fs::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                // The catalog says what the view was. The mark only says that the view goes.
                if !root.join(REMOVED).exists() {
                    durable_fs::replace(&root.join(REMOVED), b"{}\n")?;
                }
            }
            renamed => renamed?,
        }
        Ok(Removal { root: root.to_owned(), inodes: view.inodes.clone(), block })
    }

    /// Removes the view, and the blobs that no other view has. Returns how many bytes that freed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&mut self, removal: Removal) -> Result<u64> {
        let Removal { root, inodes, block } = removal;
        let mark = read_mark(&root)?;
        let files = mark.iter().flat_map(|record| record.files.iter());
        let digests: Vec<Digest> = files.filter_map(|file| file.sha256.clone()).collect();
        self.store.remove_view(&root)?;
        // A process that takes a lease now finds no view.
        drop(block);
        let gone = self.ref_counts.take(&inodes);
        let blobs = gone.iter().filter_map(|&inode| self.inventory.blob_at(inode));
        blobs
            .map(|blob| self.store.blob_path(&blob.digest()))
            .try_for_each(|path| Store::remove_blob(&path))?;
        // A link to another tool's file frees nothing, and still loses its name in the store.
        Ok(self.inventory.freed_bytes(&gone) + self.store.remove_unused_externally_linked(&digests)?)
    }

    /// Removes the folders above views that a dead process left empty.
    pub fn tidy(&self) {
        tidy_below(&self.store.models());
    }

    /// Removes a leftover that a plan names. Returns how many bytes that freed. Returns `None` where it is gone already, or
    /// another process has it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sweep(&mut self, swept: &Swept) -> Result<Option<u64>> {
        let same = |left: &&Leftover| left.path == swept.path && !left.is_held;
        let Some(leftover) = self.inventory.leftovers.iter().find(same) else { return Ok(None) };
        if !self.store.remove_leftover(leftover)? {
            return Ok(None);
        }
        Ok(Some(self.inventory.freed_bytes(&self.ref_counts.take(&leftover.inodes))))
    }
}

impl Store {
    /// Removes a leftover, unless another process has it.
    fn remove_leftover(&self, leftover: &Leftover) -> Result<bool> {
        let path = &leftover.path;
        if path.parent() == Some(&self.partials()) && !is_named(path, DISCARDED) {
            let lock = path.join(LOCK);
            let locked = if lock.exists() { self.lock_abandoned(path, self.trusts_locks()) } else { None };
            if locked.is_none() && lock.exists() {
                return Ok(false);
            }
            return discard(path);
        }
        match leftover.kind {
            LeftoverKind::Blob => Self::remove_blob(path)?,
            _ if !remove(path)? => return Ok(false),
            _ => {}
        }
        if self.holds(path) {
            self.prune(path);
        }
        Ok(true)
    }
}

/// Removes a view that the system cannot rename. Its mark goes last, so that the next removal finishes one that did not end.
fn remove_in_place(root: &Path) -> Result<()> {
    let mark = root.join(REMOVED);
    entries(root)?.iter().filter(|path| **path != mark).try_for_each(|path| remove(path).map(drop))?;
    unlink(&mark)?;
    fs_err::remove_dir(root)?;
    Ok(durable_fs::sync_folder(root.parent().unwrap_or(root))?)
}

/// Removes the empty folders below a folder, but for those in views.
fn tidy_below(folder: &Path) {
    for path in entries(folder).unwrap_or_default().iter().filter(|path| is_folder(path)) {
        if !path.join(SEAL).exists() && !path.join(REMOVED).exists() {
            tidy_below(path);
            // A folder that is not empty stays.
            let _ = fs_err::remove_dir(path);
        }
    }
}

#[cfg(test)]
mod tests;
