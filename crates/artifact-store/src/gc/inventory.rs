//! Lists what a store holds.

use std::path::{Path, PathBuf};

use durable_fs::ProcessIdentity;
use provisioner_core::Timestamp;

use crate::{gc::leftover::Leftover, locks::holder::LeaseHolder};

/// Describes an inode, which takes space on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inode {
    /// The size of its blocks, in bytes.
    pub bytes: u64,
    /// Says whether all its links are in the store. Otherwise removing them frees nothing.
    pub is_ours: bool,
    /// The path of the blob that the inode is.
    pub blob: Option<PathBuf>,
}

/// Describes a view, and the ids that share it. They go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionUnit {
    /// The ids that share the view, sorted. There is at least one.
    pub ids: Vec<String>,
    /// The folder of the view.
    pub root: PathBuf,
    /// Says whether every one of the ids is Retired.
    pub is_retired: bool,
    /// When a caller last asked for one of the ids.
    pub used_at: Option<Timestamp>,
    /// When a process last recorded one of the ids.
    pub recorded_at: Option<Timestamp>,
    /// Why the view must not go, whatever the limits are.
    pub claim: Option<Claim>,
    /// Says whether a process began to remove the view, and did not finish.
    pub is_going: bool,
    /// The inodes that the view takes, each once: indices of [`StoreInventory::inodes`].
    pub inodes: Vec<usize>,
    /// The inodes among them that hold the model's bytes.
    pub data: Vec<usize>,
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
    /// The inodes that take space.
    pub inodes: Vec<Inode>,
    /// The views of the store.
    pub views: Vec<EvictionUnit>,
    /// The files and folders that are a part of no model.
    pub leftovers: Vec<Leftover>,
    /// The ids of recorded models that are not in the store.
    pub local: Vec<String>,
    /// The ids of recorded models whose view is gone.
    pub missing: Vec<String>,
    /// How many bytes the transfers of live processes will still take.
    pub promised_bytes: u64,
    /// The inodes that a process needs for the model that it makes present. They stay, whatever else goes.
    pub pinned: Vec<usize>,
}

/// Counts the views and leftovers that have each inode.
#[derive(Clone, Debug)]
pub(crate) struct RefCounts {
    counts: Vec<usize>,
}

impl RefCounts {
    /// Counts what an inventory has.
    pub(crate) fn new(inventory: &StoreInventory) -> Self {
        let mut counts = vec![0; inventory.inodes.len()];
        let all = inventory.views.iter().map(|view| &view.inodes);
        let all = all.chain(inventory.leftovers.iter().map(|left| &left.inodes)).chain([&inventory.pinned]);
        all.flatten().for_each(|&inode| counts[inode] += 1);
        Self { counts }
    }

    /// Counts one view or leftover less for each of these inodes, and returns those that none has any more.
    pub(crate) fn take<'a>(&mut self, inventory: &'a StoreInventory, inodes: &[usize]) -> Vec<&'a Inode> {
        let mut gone = Vec::new();
        for &inode in inodes {
            self.counts[inode] -= 1;
            if self.counts[inode] == 0 {
                gone.push(&inventory.inodes[inode]);
            }
        }
        gone
    }
}

/// Returns how many bytes the removal of inodes frees that no view has any more.
pub(crate) fn freed(inodes: &[&Inode]) -> u64 {
    inodes.iter().filter(|inode| inode.is_ours).map(|inode| inode.bytes).sum()
}

impl StoreInventory {
    /// Returns how many bytes the store takes and will take. A file that another tool has costs nothing.
    pub fn size_bytes(&self) -> u64 {
        freed(&self.inodes.iter().collect::<Vec<_>>()).saturating_add(self.promised_bytes)
    }

    /// Returns the same inventory, in which some unfinished transfers stay: the caller is about to resume them.
    #[must_use]
    pub fn keeping(mut self, transfers: &[PathBuf]) -> Self {
        let kept = self.leftovers.iter_mut().filter(|left| transfers.contains(&left.path));
        kept.for_each(|left| left.is_held = true);
        self
    }
}

impl EvictionUnit {
    /// Makes the entry of a view that no record names.
    pub(crate) fn of(root: &Path, name: String) -> Self {
        Self {
            ids: vec![name],
            root: root.to_owned(),
            is_retired: false,
            used_at: None,
            recorded_at: None,
            claim: None,
            is_going: false,
            inodes: Vec::new(),
            data: Vec::new(),
        }
    }

    /// Returns when a caller last used or recorded one of the ids.
    pub fn last_touch(&self) -> Option<Timestamp> {
        self.used_at.max(self.recorded_at)
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
