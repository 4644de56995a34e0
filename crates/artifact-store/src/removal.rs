//! Taking a view away.
//!
//! # Order
//! The store lock is closed, and leases are excluded, before anything else. Then the seal becomes the mark of a removal, durably:
//! from here on, no catalog is ever told of the view again. Then whoever keeps the catalog removes the records. Then the
//! view gets a hidden name and is removed, and then the blobs that no other view has.
//!
//! # Crash safety
//! A view with a mark is finished by the next removal, and by `gc` and `doctor`, or made whole again by the next
//! `ensure` of its id, after a look at its files. Hidden folders and blobs without a view are leftovers, which `gc` takes
//! away.

use std::{
    io,
    path::{Path, PathBuf},
};

use provisioner_core::Digest;

use crate::{
    Error, LeaseBlock, LeftoverKind, Result, Store, StoreInventory, StoreLock,
    eviction::{EvictionUnit, Plan, RefCounts, Swept, freed},
    leftover::Leftover,
    partial::{DISCARDED, discard, remove, unlink},
    scan::{entries, is_named},
    view::{REMOVED, SEAL, read_mark},
};

/// Why something stays that was to go.
pub const USED_SINCE: &str = "it was used after it was looked at";

/// An inventory, while nothing is put in or taken away by others, and what of it was taken away.
#[derive(Debug)]
pub struct Removals {
    store: Store,
    inventory: StoreInventory,
    ref_counts: RefCounts,
    _lock: StoreLock,
}

/// A view whose removal was begun.
#[derive(Debug)]
#[must_use = "it is finished by `finish`"]
pub struct Removal {
    unit: EvictionUnit,
    exclusion: LeaseBlock,
}

impl Store {
    /// Begins to take away from an inventory that was looked at under a exclusive store lock.
    pub fn removals(&self, store_lock: StoreLock, inventory: StoreInventory) -> Removals {
        Removals { store: self.clone(), ref_counts: RefCounts::new(&inventory), inventory, _lock: store_lock }
    }

    /// Gives a view a hidden name, and removes it and the folders above that become empty.
    pub(crate) fn remove_view(&self, root: &Path) -> Result<()> {
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parent = root.parent().unwrap_or(root);
        let place =
            tempfile::Builder::new().prefix(&format!("{DISCARDED}{name}.")).tempdir_in(parent)?.keep();
        // A folder takes the place of an empty one.
        match durable_fs::rename(root, &place) {
            // A folder of an image's lower layer has to be copied to be renamed, and overlayfs leaves that to its caller.
            Err(durable_fs::Error::Io(error)) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs_err::remove_dir(&place)?;
                remove_in_place(root)?;
            }
            renamed => {
                renamed?;
                fs_err::remove_dir_all(&place)?;
            }
        }
        self.prune(root);
        Ok(())
    }

    /// Removes the folders above a view that became empty.
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
    /// What is there.
    pub fn inventory(&self) -> &StoreInventory {
        &self.inventory
    }

    /// The unit of a view.
    pub fn unit(&self, root: &Path) -> Option<&EvictionUnit> {
        self.inventory.units.iter().find(|unit| unit.root == root)
    }

    /// Whether one of a view's ids was asked for since the inventory was looked at.
    pub fn is_used_since(&self, root: &Path) -> bool {
        let used = |unit: &EvictionUnit| unit.ids.iter().filter_map(|id| self.store.last_used(id)).max();
        self.unit(root).is_some_and(|unit| used(unit) != unit.used_at)
    }

    /// Makes sure that nobody uses a view, and begins its removal: from here on it does not come back.
    ///
    /// # Errors
    /// [`Error::Leased`]; [`Error::Doubtful`]; [`Error::NotOurs`] for what is no view; [`Error::Io`].
    pub fn begin(&self, root: &Path) -> Result<Removal> {
        let not_ours = || Error::NotOurs(format!("`{}` is no view of this store", root.display()));
        let unit = self.unit(root).ok_or_else(not_ours)?.clone();
        let exclusion = self.store.block_leases(root, unit.ids.first().map_or("", String::as_str))?;
        match durable_fs::rename(&root.join(SEAL), &root.join(REMOVED)) {
            Err(durable_fs::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                // The catalog knows what it was; the mark only says that it is to go.
                if !root.join(REMOVED).exists() {
                    durable_fs::replace(&root.join(REMOVED), b"{}\n")?;
                }
            }
            renamed => renamed?,
        }
        Ok(Removal { unit, exclusion })
    }

    /// Removes the view, and the blobs that nobody else has, and returns how many bytes that freed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&mut self, removal: Removal) -> Result<u64> {
        let Removal { unit, exclusion } = removal;
        let files = read_mark(&unit.root)?.into_iter().flat_map(|record| record.files);
        let digests: Vec<Digest> = files.filter_map(|file| file.sha256).collect();
        self.store.remove_view(&unit.root)?;
        // Whoever takes a lease now finds nothing.
        drop(exclusion);
        let gone = self.ref_counts.take(&self.inventory, &unit.inodes);
        gone.iter().filter_map(|inode| inode.blob.as_deref()).try_for_each(Store::remove_blob)?;
        // What is somebody else's too is not gone, and loses our name all the same.
        Ok(freed(&gone) + self.store.remove_unused_externally_linked(&digests)?)
    }

    /// Removes the folders above views that a dying process left empty.
    pub fn tidy(&self) {
        tidy_below(&self.store.models());
    }

    /// Removes a leftover that a plan names, and returns what that freed; `None` where there is none any more, or somebody
    /// has it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sweep(&mut self, swept: &Swept) -> Result<Option<u64>> {
        let same = |left: &&Leftover| left.path == swept.path && !left.is_held;
        let Some(leftover) = self.inventory.leftovers.iter().find(same) else { return Ok(None) };
        if !self.store.remove_leftover(leftover)? {
            return Ok(None);
        }
        Ok(Some(freed(&self.ref_counts.take(&self.inventory, &leftover.inodes))))
    }
}

impl Store {
    /// Removes a leftover, unless somebody has it.
    fn remove_leftover(&self, leftover: &Leftover) -> Result<bool> {
        let path = &leftover.path;
        if path.parent() == Some(&self.partials()) && !is_named(path, DISCARDED) {
            let lock = path.join("lock");
            let owned = if lock.exists() { self.own_again(path, self.trusts_locks()) } else { None };
            if owned.is_none() && lock.exists() {
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

/// Removes a view that cannot be renamed. Its mark goes last, so that a removal that is cut off is finished by the next one.
fn remove_in_place(root: &Path) -> Result<()> {
    let mark = root.join(REMOVED);
    entries(root)?.iter().filter(|path| **path != mark).try_for_each(|path| remove(path).map(drop))?;
    unlink(&mark)?;
    fs_err::remove_dir(root)?;
    Ok(durable_fs::sync_folder(root.parent().unwrap_or(root))?)
}

/// Removes what is empty below a folder, but for what lies in views.
fn tidy_below(folder: &Path) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    let is_folder = |entry: &fs_err::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    for path in entries.flatten().filter(is_folder).map(|entry| entry.path()) {
        if !path.join(SEAL).exists() && !path.join(REMOVED).exists() {
            tidy_below(&path);
            // One that is not empty stays.
            let _ = fs_err::remove_dir(path);
        }
    }
}

impl Plan {
    /// What of this plan is still to be done, by one that was made later: neither what somebody has used since, nor what
    /// nobody was told of.
    #[must_use]
    pub fn still(&self, later: Self) -> Self {
        let mut left = Self { evicted: Vec::new(), ..later.clone() };
        for evicted in later.evicted {
            let told = self.evicted.iter().find(|one| (&one.root, &one.ids) == (&evicted.root, &evicted.ids));
            match told {
                None => left.spare(evicted.ids, "it was not among what was to go"),
                Some(told) if told.used_at != evicted.used_at => left.spare(evicted.ids, USED_SINCE),
                Some(_) => left.evicted.push(evicted),
            }
        }
        let told: Vec<&PathBuf> = self.leftovers.iter().map(|swept| &swept.path).collect();
        left.leftovers.retain(|swept| told.contains(&&swept.path));
        left
    }

    /// Says of models that they stay.
    pub fn spare(&mut self, ids: Vec<String>, reason: &str) {
        self.kept.extend(ids.into_iter().map(|id| crate::eviction::Kept { id, reason: reason.to_owned() }));
        self.kept.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

#[cfg(test)]
mod tests;
