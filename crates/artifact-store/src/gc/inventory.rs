//! Lists what a store holds.
//!
//! # Memory
//! A store may have a hundred thousand models, and an inventory has all of them. So it keeps what a plan and its removals
//! need, and no path that follows from something else: a blob has the bytes of its SHA-256, a view its name below the folder
//! of all views, and both name inodes by their index. A plan shares the ids.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use durable_fs::ProcessIdentity;
use provisioner_core::{Digest, Timestamp};

use crate::{gc::leftover::Leftover, locks::holder::LeaseHolder};

/// Describes an inode, which takes space on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inode {
    /// The size of its blocks, in bytes.
    pub bytes: u64,
    /// Says whether all its links are in the store. Otherwise removing them frees nothing.
    pub is_ours: bool,
}

/// Describes a blob. It goes together with its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobEntry {
    /// The SHA-256 of the blob.
    pub sha256: [u8; 32],
    /// The size of the blocks of its stamp, in bytes.
    pub stamp_bytes: u64,
}

/// Describes a view, and the ids that share it. They go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionUnit {
    /// The ids that share the view, sorted. There is at least one.
    pub ids: Vec<Arc<str>>,
    /// The path of the view below the folder of all views.
    pub name: Box<Path>,
    /// Says whether every one of the ids is Retired.
    pub is_retired: bool,
    /// When a caller last asked for one of the ids.
    pub used_at: Option<Timestamp>,
    /// When a process last recorded one of the ids.
    pub recorded_at: Option<Timestamp>,
    /// Why the view must not go, whatever the limits are.
    pub claim: Option<Box<Claim>>,
    /// Says whether a process began to remove the view, and did not finish.
    pub is_going: bool,
    /// The inodes that the view takes, each once: indices of [`StoreInventory::inodes`]. First come those that hold the
    /// model's bytes.
    pub inodes: Box<[u32]>,
    /// How many of the inodes hold the model's bytes.
    pub data_count: u32,
}

/// Says why a view must not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Live processes have a lease on the view.
    Leased(Vec<LeaseHolder>),
    /// A live process makes the model present.
    Staged(Option<ProcessIdentity>),
    /// The view has neither a seal that this release reads nor the mark of a removal.
    Unsealed,
}

/// Holds everything that a store has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreInventory {
    /// The folder of all views.
    pub models: PathBuf,
    /// The inodes that take space: first those of the blobs, in the blobs' order.
    pub inodes: Vec<Inode>,
    /// The blobs, sorted by their SHA-256. A blob has the index of its inode.
    pub blobs: Vec<BlobEntry>,
    /// The views of the store, sorted by their names.
    pub views: Vec<EvictionUnit>,
    /// The files and folders that are a part of no model.
    pub leftovers: Vec<Leftover>,
    /// The ids of recorded models that are not in the store.
    pub local: Vec<Arc<str>>,
    /// The ids of recorded models whose view is gone.
    pub missing: Vec<Arc<str>>,
    /// How many bytes the transfers of live processes will still take.
    pub promised_bytes: u64,
    /// The inodes that a process needs for the model that it makes present. They stay, whatever else goes.
    pub pinned: Vec<u32>,
}

/// Counts the views and leftovers that have each inode.
#[derive(Clone, Debug)]
pub(crate) struct RefCounts {
    counts: Vec<u32>,
}

impl RefCounts {
    /// Counts what an inventory has.
    pub(crate) fn new(inventory: &StoreInventory) -> Self {
        let mut counts = vec![0; inventory.inodes.len()];
        let of_views = inventory.views.iter().flat_map(|view| &view.inodes);
        let of_leftovers = inventory.leftovers.iter().flat_map(|left| &left.inodes);
        for &inode in of_views.chain(of_leftovers).chain(&inventory.pinned) {
            counts[inode as usize] += 1;
        }
        Self { counts }
    }

    /// Counts one view or leftover less for each of these inodes, and returns those that none has any more.
    pub(crate) fn take(&mut self, inodes: &[u32]) -> Vec<u32> {
        let mut gone = Vec::new();
        for &inode in inodes {
            let count = &mut self.counts[inode as usize];
            *count -= 1;
            if *count == 0 {
                gone.push(inode);
            }
        }
        gone
    }
}

impl BlobEntry {
    /// Returns the SHA-256 of the blob, from which its path follows.
    pub fn digest(&self) -> Digest {
        Digest::sha256(self.sha256)
    }
}

impl StoreInventory {
    /// Returns how many bytes the store takes and will take. A file that another tool has costs nothing.
    pub fn size_bytes(&self) -> u64 {
        let of_inodes: u64 = self.inodes.iter().map(Inode::own_bytes).sum();
        let of_stamps: u64 = self.blobs.iter().map(|blob| blob.stamp_bytes).sum();
        (of_inodes + of_stamps).saturating_add(self.promised_bytes)
    }

    /// Returns how many bytes the removal of inodes frees that no view has any more.
    pub(crate) fn freed_bytes(&self, inodes: &[u32]) -> u64 {
        let freed = |&inode: &u32| {
            let of_stamp = self.blob_at(inode).map_or(0, |blob| blob.stamp_bytes);
            self.inodes[inode as usize].own_bytes() + of_stamp
        };
        inodes.iter().map(freed).sum()
    }

    /// Returns the folder of a view.
    pub fn root_of(&self, view: &EvictionUnit) -> PathBuf {
        self.models.join(&view.name)
    }

    /// Returns the view of a folder.
    pub(crate) fn view(&self, root: &Path) -> Option<&EvictionUnit> {
        let name = root.strip_prefix(&self.models).ok()?;
        let at = self.views.binary_search_by(|view| view.name.as_ref().cmp(name)).ok()?;
        self.views.get(at)
    }

    /// Returns the index of the inode of a blob.
    pub(crate) fn blob(&self, sha256: &[u8; 32]) -> Option<u32> {
        let at = self.blobs.binary_search_by(|blob| blob.sha256.cmp(sha256)).ok()?;
        at.try_into().ok()
    }

    /// Returns the blob that an inode is; `None` for an inode that is not a blob.
    pub(crate) fn blob_at(&self, inode: u32) -> Option<&BlobEntry> {
        self.blobs.get(inode as usize)
    }

    /// Returns the same inventory, in which some unfinished transfers stay: the caller is about to resume them.
    #[must_use]
    pub fn keeping(mut self, transfers: &[PathBuf]) -> Self {
        let kept = self.leftovers.iter_mut().filter(|left| transfers.contains(&left.path));
        kept.for_each(|left| left.is_held = true);
        self
    }
}

impl Inode {
    /// Returns how many bytes go with the last link of the store.
    fn own_bytes(&self) -> u64 {
        if self.is_ours { self.bytes } else { 0 }
    }
}

impl EvictionUnit {
    /// Makes the entry of a view that no record names.
    pub(crate) fn of(name: &Path) -> Self {
        Self {
            ids: vec![name.to_string_lossy().into()],
            name: name.into(),
            is_retired: false,
            used_at: None,
            recorded_at: None,
            claim: None,
            is_going: false,
            inodes: Box::default(),
            data_count: 0,
        }
    }

    /// Returns when a caller last used or recorded one of the ids.
    pub fn last_touch(&self) -> Option<Timestamp> {
        self.used_at.max(self.recorded_at)
    }

    /// Returns the inodes that hold the model's bytes.
    pub fn data(&self) -> &[u32] {
        &self.inodes[..self.data_count as usize]
    }
}

impl Claim {
    /// Returns the claim as a fragment.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Leased(holders) if holders.is_empty() => "in use by a process that left no name".to_owned(),
            Self::Leased(holders) => {
                let names: Vec<_> = holders.iter().map(|holder| holder.process.to_string()).collect();
                format!("in use by {}", names.join(", "))
            }
            Self::Staged(process) => {
                let process =
                    process.as_ref().map_or_else(|| "another process".to_owned(), ProcessIdentity::to_string);
                format!("being made present by {process}")
            }
            Self::Unsealed => "it has no seal that this release reads; `doctor` says more".to_owned(),
        }
    }
}
