//! Lists what the store holds, by what `stat` says.
//!
//! The scan reads no byte of a model, and of the seals only those of views that the catalog does not have.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::Path,
};

use durable_fs::entries;
use provisioner_core::{CatalogRecord, Digest};

use crate::{
    error::Result,
    files::{allocated, is_named, last_change, look},
    gc::{
        inventory::{Claim, EvictionUnit, Inode, StoreInventory, freed},
        leftover::{Leftover, LeftoverEntry, LeftoverKind},
        recorded::{RecordedModel, RecordedModels},
    },
    layout::{DISCARDED, LOCK, NEW, REMOVED, SEAL, Store, view_of},
    locks::trust::is_held,
    staging::{kind::can_go_on, partial_meta::PartialMeta},
    views::seal::{newer_schema, read_mark, read_seal, sealed_id},
};

/// Names an inode by the device and the number.
type InodeKey = (u64, u64);

/// Holds an inventory in the making.
struct Scan<'a> {
    store: &'a Store,
    inventory: StoreInventory,
    /// The index of each inode in the inventory.
    indices: HashMap<InodeKey, usize>,
    /// How many links of each inode the scan has seen, and how many the inode has.
    links: Vec<(u64, u64)>,
    /// The index of each blob's inode, in the order of the blobs' paths.
    blobs: Vec<usize>,
    /// The index of the stamp of each blob, by the index of the blob.
    stamps: HashMap<usize, usize>,
    recorded: RecordedModels,
}

impl Store {
    /// Returns what the store holds, beside these records. `pinned` are digests of blobs that stay.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn inventory(&self, records: &[CatalogRecord], pinned: &[Digest]) -> Result<StoreInventory> {
        let mut recorded = RecordedModels::default();
        for record in records {
            recorded.add(self, record.clone());
        }
        self.inventory_beside(recorded, pinned)
    }

    /// Returns what the store holds, beside these models. `pinned` are digests of blobs that stay.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn inventory_beside(&self, recorded: RecordedModels, pinned: &[Digest]) -> Result<StoreInventory> {
        let mut scan = Scan::new(self, recorded);
        scan.count_blobs()?;
        scan.visit(&self.models(), &mut Vec::new())?;
        scan.count_quarantine()?;
        scan.count_partials(self.trusts_locks())?;
        scan.finish(pinned)
    }

    /// Returns the unfinished transfers and the quarantined files, with what each takes. It looks at nothing else, and
    /// writes nothing, so it believes every lock.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn leftovers(&self) -> Result<Vec<LeftoverEntry>> {
        let mut scan = Scan::new(self, RecordedModels::default());
        scan.count_quarantine()?;
        scan.count_partials(true)?;
        scan.mark_ours();
        let StoreInventory { inodes, leftovers, .. } = scan.inventory;
        let listed = leftovers
            .into_iter()
            .filter(|left| matches!(left.kind, LeftoverKind::Partial | LeftoverKind::Quarantined));
        let entry = |left: Leftover| {
            let bytes = freed(&left.inodes.iter().map(|&index| &inodes[index]).collect::<Vec<_>>());
            let Leftover { path, id, kind, changed_at, is_held, .. } = left;
            LeftoverEntry { id, kind, path, bytes, changed_at, is_held }
        };
        Ok(listed.map(entry).collect())
    }
}

impl<'a> Scan<'a> {
    fn new(store: &'a Store, recorded: RecordedModels) -> Self {
        Self {
            store,
            inventory: StoreInventory::default(),
            indices: HashMap::new(),
            links: Vec::new(),
            blobs: Vec::new(),
            stamps: HashMap::new(),
            recorded,
        }
    }

    /// Returns the index of the inode of a blob, which the scan has counted.
    fn blob(&self, path: &Path) -> Option<usize> {
        let blob_of = |&index: &usize| self.inventory.inodes[index].blob.as_deref();
        let at = self.blobs.binary_search_by(|index| blob_of(index).cmp(&Some(path))).ok()?;
        Some(self.blobs[at])
    }

    /// Returns the index of an inode, and counts one more of its links.
    fn inode(&mut self, metadata: &Metadata) -> usize {
        let next = self.inventory.inodes.len();
        let index = *self.indices.entry((metadata.dev(), metadata.ino())).or_insert(next);
        if index == next {
            let bytes = allocated(metadata);
            self.inventory.inodes.push(Inode { bytes, is_ours: true, blob: None });
            // A folder's links are all its own.
            self.links.push((0, if metadata.is_dir() { 0 } else { metadata.nlink() }));
        }
        self.links[index].0 += 1;
        index
    }

    /// Adds every inode at a path and below it.
    fn tree(&mut self, path: &Path, inodes: &mut BTreeSet<usize>) -> Result<()> {
        let Some(metadata) = look(path)? else { return Ok(()) };
        inodes.insert(self.inode(&metadata));
        if metadata.is_dir() {
            for entry in entries(path)? {
                self.tree(&entry, inodes)?;
            }
        }
        Ok(())
    }

    fn count_blobs(&mut self) -> Result<()> {
        for folder in entries(&self.store.blobs())? {
            for path in entries(&folder)? {
                let Some(metadata) = look(&path)?.filter(Metadata::is_file) else { continue };
                let is_hidden = is_named(&path, ".");
                if !is_hidden && path.extension().is_none() {
                    let index = self.inode(&metadata);
                    // Two names of one inode are not blobs of this store: the scan takes the first one.
                    if self.inventory.inodes[index].blob.is_none() {
                        self.inventory.inodes[index].blob = Some(path);
                        self.blobs.push(index);
                    }
                } else if is_hidden {
                    self.leave(&path, LeftoverKind::Unfinished, false)?;
                } else if let Some(blob) = self.blob(&path.with_extension("")) {
                    let stamp = self.inode(&metadata);
                    self.stamps.insert(blob, stamp);
                } else {
                    self.leave(&path, LeftoverKind::Gone, false)?;
                }
            }
        }
        Ok(())
    }

    /// Looks for views in a folder. `above` are the inodes of the folders above, which go when they become empty.
    fn visit(&mut self, folder: &Path, above: &mut Vec<usize>) -> Result<()> {
        let (mut strays, mut has_folders) = (Vec::new(), *folder == self.store.models());
        for path in entries(folder)? {
            let Some(metadata) = look(&path)? else { continue };
            if is_named(&path, ".") {
                let kind =
                    if is_named(&path, DISCARDED) { LeftoverKind::Gone } else { LeftoverKind::Unfinished };
                let inodes = self.leave(&path, kind, false)?;
                inodes.extend(above.iter());
                continue;
            }
            has_folders |= metadata.is_dir();
            if !metadata.is_dir() {
                strays.push((path, self.inode(&metadata)));
            } else if self.is_view(&path) {
                self.add_view(&path, above)?;
            } else {
                let index = self.inode(&metadata);
                above.push(index);
                self.visit(&path, above)?;
                above.pop();
            }
        }
        if has_folders {
            // The folders beside a stray file may be models: the file counts for itself.
            for (path, index) in strays {
                self.add_unsealed(&path, vec![index]);
            }
        } else if !strays.is_empty() {
            let inodes: BTreeSet<_> =
                strays.iter().map(|(_, index)| index).chain(above.iter()).copied().collect();
            self.add_unsealed(folder, inodes.into_iter().collect());
        }
        Ok(())
    }

    fn add_unsealed(&mut self, path: &Path, inodes: Vec<usize>) {
        let mut view = EvictionUnit::of(path, self.store.name_of_view(path));
        view.claim = Some(Claim::Unsealed);
        view.inodes = inodes;
        self.inventory.views.push(view);
    }

    fn is_view(&self, path: &Path) -> bool {
        self.recorded.has_view(path) || path.join(SEAL).exists() || path.join(REMOVED).exists()
    }

    fn add_view(&mut self, root: &Path, above: &[usize]) -> Result<()> {
        let mut inodes = BTreeSet::new();
        self.tree(root, &mut inodes)?;
        let recorded = self.recorded.in_view(root);
        let is_sealed = root.join(SEAL).exists();
        let is_going = !is_sealed && root.join(REMOVED).exists();
        let lone = if !recorded.is_empty() {
            None
        } else if is_going {
            read_mark(root)?
        } else {
            read_seal(root)?
        };
        let lone = lone.map(RecordedModel::of);
        let described: Vec<&RecordedModel> = recorded.iter().chain(&lone).collect();
        let mut view = EvictionUnit::of(root, self.store.name_of_view(root));
        if !described.is_empty() {
            view.ids = described.iter().map(|model| model.id.to_string()).collect();
            view.ids.sort_unstable();
            view.is_retired = described.iter().all(|model| model.is_retired);
        }
        let data: BTreeSet<_> = described
            .iter()
            .flat_map(|model| &model.files)
            .flat_map(|(path, sha256)| {
                let blob = sha256.as_ref().and_then(|sha256| self.blob(&self.store.blob_path(sha256)));
                let file = fs_err::symlink_metadata(root.join(path)).ok();
                let file = file.and_then(|metadata| self.indices.get(&(metadata.dev(), metadata.ino())));
                blob.into_iter().chain(file.copied())
            })
            .collect();
        inodes.extend(&data);
        inodes.extend(above);
        view.is_going = is_going;
        view.used_at = view.ids.iter().filter_map(|id| self.store.last_used(id)).max();
        view.recorded_at = described.iter().map(|model| model.created_at).max();
        let is_known = is_sealed && (!described.is_empty() || newer_schema(root)?.is_none());
        view.claim = self.claim(root, &view.ids, is_known || is_going);
        view.inodes = inodes.into_iter().collect();
        view.data = data.into_iter().collect();
        self.inventory.views.push(view);
        Ok(())
    }

    /// Returns why a view must not go.
    fn claim(&self, root: &Path, ids: &[String], is_whole: bool) -> Option<Claim> {
        let leased = || ids.first().and_then(|id| self.store.leased(root, id)).map(Claim::Leased);
        let staged = || ids.iter().find(|id| self.store.is_being_staged(id));
        let staged = || staged().map(|id| Claim::Staged(self.store.model_lock_holder(id)));
        leased().or_else(staged).or_else(|| (!is_whole).then_some(Claim::Unsealed))
    }

    /// Adds a leftover, and returns its inodes, to which the caller may add others.
    fn leave(&mut self, path: &Path, kind: LeftoverKind, is_held: bool) -> Result<&mut Vec<usize>> {
        let mut inodes = BTreeSet::new();
        self.tree(path, &mut inodes)?;
        let inodes = inodes.into_iter().collect();
        let id = match kind {
            LeftoverKind::Partial => id_of(path),
            LeftoverKind::Quarantined => entries(path)?.first().and_then(|aside| sealed_id(aside)),
            _ => None,
        };
        let (path, changed_at) = (path.to_owned(), last_change(path));
        self.inventory.leftovers.push(Leftover { path, id, kind, changed_at, is_held, inodes });
        let last = self.inventory.leftovers.len() - 1;
        Ok(&mut self.inventory.leftovers[last].inodes)
    }

    fn count_quarantine(&mut self) -> Result<()> {
        for path in entries(&self.store.quarantined())? {
            self.leave(&path, LeftoverKind::Quarantined, false)?;
        }
        Ok(())
    }

    fn count_partials(&mut self, trusts_locks: bool) -> Result<()> {
        for path in entries(&self.store.partials())? {
            let is_lost = || trusts_locks || self.store.is_abandoned(&path);
            let is_going = is_named(&path, DISCARDED);
            let held = !is_going && (is_held(&path.join(LOCK)) || !is_lost());
            let kind = match &path {
                _ if is_going => LeftoverKind::Gone,
                path if is_named(path, NEW) => LeftoverKind::Unfinished,
                path if !held && !can_go_on(path) => LeftoverKind::Gone,
                _ => LeftoverKind::Partial,
            };
            self.leave(&path, kind, held)?;
        }
        Ok(())
    }

    /// Adds what follows from the whole: orphans, stamps, and which inodes no other tool has.
    fn finish(mut self, pinned: &[Digest]) -> Result<StoreInventory> {
        let recorded = std::mem::take(&mut self.recorded);
        let roots: HashSet<_> = self.inventory.views.iter().map(|view| view.root.as_path()).collect();
        let missing = recorded.views().filter(|(root, _)| !roots.contains(root));
        let missing: Vec<&RecordedModel> = missing.flat_map(|(_, models)| models).collect();
        let blob_of = |sha256| self.blob(&self.store.blob_path(sha256));
        let mut used: HashSet<usize> =
            self.inventory.views.iter().flat_map(|view| view.inodes.iter().copied()).collect();
        // The next `ensure` links a model whose view is gone again, from its blobs.
        let files = missing.iter().flat_map(|model| &model.files);
        used.extend(files.filter_map(|(_, sha256)| blob_of(sha256.as_ref()?)));
        self.inventory.pinned = pinned.iter().filter_map(blob_of).collect();
        self.inventory.missing = missing.iter().map(|model| model.id.to_string()).collect();
        self.inventory.local = recorded.into_local();
        let is_needed = self.store.has_model_lock()?;
        for &index in self.blobs.iter().filter(|index| !used.contains(index)) {
            let Some(path) = self.inventory.inodes[index].blob.clone() else { continue };
            self.inventory.leftovers.push(Leftover {
                id: None,
                kind: LeftoverKind::Blob,
                changed_at: last_change(&path),
                path,
                is_held: is_needed,
                inodes: vec![index],
            });
        }
        let with_stamps = |inodes: &mut Vec<usize>| {
            let stamps: Vec<_> = inodes.iter().filter_map(|index| self.stamps.get(index)).collect();
            inodes.extend(stamps);
        };
        self.inventory.views.iter_mut().for_each(|view| with_stamps(&mut view.inodes));
        let orphans = self.inventory.leftovers.iter_mut().filter(|left| left.kind == LeftoverKind::Blob);
        orphans.for_each(|left| with_stamps(&mut left.inodes));
        self.mark_ours();
        self.inventory.views.sort_by(|a, b| a.root.cmp(&b.root));
        self.inventory.leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        self.inventory.promised_bytes = self.store.promised()?;
        Ok(self.inventory)
    }

    /// Marks the inodes of which the scan has seen all links.
    fn mark_ours(&mut self) {
        for (inode, (seen, has)) in self.inventory.inodes.iter_mut().zip(&self.links) {
            inode.is_ours = seen >= has;
        }
    }
}

/// Returns the id of the model that a partial is for, where the partial says it.
fn id_of(partial: &Path) -> Option<String> {
    PartialMeta::read(partial).and_then(|meta| meta.id).or_else(|| sealed_id(&view_of(partial)))
}
