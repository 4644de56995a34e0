//! Lists what the store holds, by what `stat` says.
//!
//! The scan reads no byte of a model, and of the seals only those of views that the catalog does not have.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use durable_fs::entries;
use provisioner_core::{CatalogRecord, Digest, DigestAlgorithm};

use crate::{
    error::Result,
    files::{allocated, is_named, last_change, look},
    gc::{
        inventory::{BlobEntry, Claim, EvictionUnit, Inode, StoreInventory},
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
    /// The files that have several links. The scan sees every other inode once.
    linked: HashMap<InodeKey, LinkedInode>,
    /// The recorded models whose views the scan has not seen yet.
    recorded: RecordedModels,
}

/// Describes an inode that has several links.
struct LinkedInode {
    index: u32,
    /// How many of its links the scan has not seen yet.
    unseen: u64,
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
        let leftovers = std::mem::take(&mut scan.inventory.leftovers);
        let listed = leftovers
            .into_iter()
            .filter(|left| matches!(left.kind, LeftoverKind::Partial | LeftoverKind::Quarantined));
        let entry = |left: Leftover| {
            let bytes = scan.inventory.freed_bytes(&left.inodes);
            let Leftover { path, id, kind, changed_at, is_held, .. } = left;
            LeftoverEntry { id, kind, path, bytes, changed_at, is_held }
        };
        Ok(listed.map(entry).collect())
    }
}

impl<'a> Scan<'a> {
    fn new(store: &'a Store, recorded: RecordedModels) -> Self {
        let inventory = StoreInventory { models: store.models(), ..StoreInventory::default() };
        Self { store, inventory, linked: HashMap::new(), recorded }
    }

    /// Returns the index of an inode, and counts one more of its links.
    fn inode(&mut self, metadata: &Metadata) -> Result<u32> {
        let next = self.inventory.inodes.len().try_into();
        let next: u32 = next.map_err(|_| io::Error::other("the store has too many files"))?;
        // A folder's links are all its own.
        if !metadata.is_dir() && metadata.nlink() > 1 {
            let new = LinkedInode { index: next, unseen: metadata.nlink() };
            let linked = self.linked.entry(key_of(metadata)).or_insert(new);
            linked.unseen = linked.unseen.saturating_sub(1);
            if linked.index < next {
                return Ok(linked.index);
            }
        }
        self.inventory.inodes.push(Inode { bytes: allocated(metadata), is_ours: true });
        Ok(next)
    }

    /// Adds every inode at a path and below it.
    fn tree(&mut self, path: &Path, inodes: &mut BTreeMap<InodeKey, u32>) -> Result<()> {
        let Some(metadata) = look(path)? else { return Ok(()) };
        inodes.insert(key_of(&metadata), self.inode(&metadata)?);
        if metadata.is_dir() {
            for entry in entries(path)? {
                self.tree(&entry, inodes)?;
            }
        }
        Ok(())
    }

    /// Counts the blobs with their stamps, before any other file: a blob has the index of its inode.
    fn count_blobs(&mut self) -> Result<()> {
        let mut others = Vec::new();
        for folder in entries(&self.store.blobs())? {
            for path in entries(&folder)? {
                let Some(metadata) = look(&path)?.filter(Metadata::is_file) else { continue };
                if is_named(&path, ".") {
                    others.push((path, LeftoverKind::Unfinished));
                } else if path.extension().is_none() {
                    match self.sha256_of(&path) {
                        Some(sha256) => self.add_blob(sha256, &metadata)?,
                        None => others.push((path, LeftoverKind::Blob)),
                    }
                } else if let Some(blob) = self.blob_of_stamp(&path) {
                    blob.stamp_bytes += allocated(&metadata);
                } else {
                    others.push((path, LeftoverKind::Gone));
                }
            }
        }
        others.iter().try_for_each(|(path, kind)| self.leave(path, *kind, false).map(drop))
    }

    fn add_blob(&mut self, sha256: [u8; 32], metadata: &Metadata) -> Result<()> {
        // Two names of one inode are not blobs of this store: the scan takes the first one.
        if self.inode(metadata)? as usize == self.inventory.blobs.len() {
            self.inventory.blobs.push(BlobEntry { sha256, stamp_bytes: 0 });
        }
        Ok(())
    }

    /// Returns the SHA-256 that names a blob; `None` for a path that is not that of a blob.
    fn sha256_of(&self, blob: &Path) -> Option<[u8; 32]> {
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let hex = name(blob.parent()?)? + &name(blob)?;
        let digest = Digest::new(DigestAlgorithm::Sha256, &hex).ok()?;
        (self.store.blob_path(&digest) == blob).then(|| digest.sha256_bytes())?
    }

    /// Returns the blob that the scan has counted before its stamp.
    fn blob_of_stamp(&mut self, stamp: &Path) -> Option<&mut BlobEntry> {
        let sha256 = self.sha256_of(&stamp.with_extension(""))?;
        let index = self.inventory.blob(&sha256)?;
        self.inventory.blobs.get_mut(index as usize)
    }

    /// Looks for views in a folder. `above` are the inodes of the folders above, which go when they become empty.
    fn visit(&mut self, folder: &Path, above: &mut Vec<u32>) -> Result<()> {
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
                strays.push((path, self.inode(&metadata)?));
            } else if self.is_view(&path) {
                self.add_view(&path, above)?;
            } else {
                let index = self.inode(&metadata)?;
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

    fn add_unsealed(&mut self, path: &Path, inodes: Vec<u32>) {
        let mut view = EvictionUnit::of(self.store.below_models(path));
        view.claim = Some(Box::new(Claim::Unsealed));
        view.inodes = inodes.into();
        self.inventory.views.push(view);
    }

    fn is_view(&self, path: &Path) -> bool {
        self.recorded.has_view(self.store.below_models(path))
            || path.join(SEAL).exists()
            || path.join(REMOVED).exists()
    }

    fn add_view(&mut self, root: &Path, above: &[u32]) -> Result<()> {
        let mut found = BTreeMap::new();
        self.tree(root, &mut found)?;
        let mut view = EvictionUnit::of(self.store.below_models(root));
        let is_sealed = root.join(SEAL).exists();
        view.is_going = !is_sealed && root.join(REMOVED).exists();
        let mut described = self.recorded.take(&view.name);
        if described.is_empty() {
            let lone = if view.is_going { read_mark(root)? } else { read_seal(root)? };
            described.extend(lone.map(RecordedModel::of));
        }
        let data = self.data_of(root, &described, &found);
        let others = found.values().chain(above).filter(|index| !data.contains(index));
        view.inodes = data.iter().chain(others).copied().collect();
        view.data_count = u32::try_from(data.len()).unwrap_or(u32::MAX);
        view.recorded_at = described.iter().map(|model| model.created_at).max();
        let is_known = is_sealed && (!described.is_empty() || newer_schema(root)?.is_none());
        if !described.is_empty() {
            view.is_retired = described.iter().all(|model| model.is_retired);
            view.ids = described.into_iter().map(|model| model.id).collect();
            view.ids.sort_unstable();
        }
        view.used_at = view.ids.iter().filter_map(|id| self.store.last_used(id)).max();
        view.claim = self.claim(root, &view.ids, is_known || view.is_going).map(Box::new);
        self.inventory.views.push(view);
        Ok(())
    }

    /// Returns the inodes that hold the bytes of the models of a view: their blobs, and the files in the view, of which `found`
    /// has the inodes.
    fn data_of(
        &self,
        root: &Path,
        models: &[RecordedModel],
        found: &BTreeMap<InodeKey, u32>,
    ) -> BTreeSet<u32> {
        let files = models.iter().flat_map(|model| &model.files);
        let inodes = files.flat_map(|(path, sha256)| {
            let blob = sha256.as_ref().and_then(|sha256| self.inventory.blob(sha256));
            let file = fs_err::symlink_metadata(root.join(path)).ok();
            blob.into_iter().chain(file.and_then(|file| found.get(&key_of(&file)).copied()))
        });
        inodes.collect()
    }

    /// Returns why a view must not go.
    fn claim(&self, root: &Path, ids: &[Arc<str>], is_whole: bool) -> Option<Claim> {
        let leased = || ids.first().and_then(|id| self.store.leased(root, id)).map(Claim::Leased);
        let staged = || ids.iter().find(|id| self.store.is_being_staged(id));
        let staged = || staged().map(|id| Claim::Staged(self.store.model_lock_holder(id)));
        leased().or_else(staged).or_else(|| (!is_whole).then_some(Claim::Unsealed))
    }

    /// Adds a leftover, and returns its inodes, to which the caller may add others.
    fn leave(&mut self, path: &Path, kind: LeftoverKind, is_held: bool) -> Result<&mut Vec<u32>> {
        let mut inodes = BTreeMap::new();
        self.tree(path, &mut inodes)?;
        let inodes = inodes.into_values().collect();
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

    /// Adds what follows from the whole: the blobs that no model needs, and which inodes no other tool has.
    fn finish(mut self, pinned: &[Digest]) -> Result<StoreInventory> {
        let (local, missing) = std::mem::take(&mut self.recorded).into_rest();
        self.inventory.local = local;
        let mut is_used = vec![false; self.inventory.blobs.len()];
        let of_views = self.inventory.views.iter().flat_map(|view| &view.inodes);
        of_views.for_each(|&index| is_used.get_mut(index as usize).into_iter().for_each(|used| *used = true));
        for model in missing {
            // The next `ensure` links a model whose view is gone again, from its blobs.
            let blobs = model.files.iter().filter_map(|(_, sha256)| self.inventory.blob(sha256.as_ref()?));
            blobs.for_each(|blob| is_used[blob as usize] = true);
            self.inventory.missing.push(model.id);
        }
        let blob_of = |pinned: &Digest| self.inventory.blob(&pinned.sha256_bytes()?);
        self.inventory.pinned = pinned.iter().filter_map(blob_of).collect();
        let orphans = (0..).zip(&is_used).filter(|(_, is_used)| !**is_used).map(|(index, _)| index);
        orphans.for_each(|index| self.leave_blob(index));
        if self.store.has_model_lock()? {
            let blobs = self.inventory.leftovers.iter_mut().filter(|left| left.kind == LeftoverKind::Blob);
            blobs.for_each(|left| left.is_held = true);
        }
        self.mark_ours();
        self.inventory.views.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.inventory.leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        self.inventory.promised_bytes = self.store.promised()?;
        Ok(self.inventory)
    }

    /// Adds a blob that no model needs.
    fn leave_blob(&mut self, index: u32) {
        let Some(blob) = self.inventory.blob_at(index) else { return };
        let path = self.store.blob_path(&blob.digest());
        self.inventory.leftovers.push(Leftover {
            id: None,
            kind: LeftoverKind::Blob,
            changed_at: last_change(&path),
            path,
            is_held: false,
            inodes: vec![index],
        });
    }

    /// Marks the inodes of which the scan has not seen all links.
    fn mark_ours(&mut self) {
        for linked in self.linked.values().filter(|linked| linked.unseen > 0) {
            self.inventory.inodes[linked.index as usize].is_ours = false;
        }
    }
}

/// Returns the device and the number of an inode.
fn key_of(metadata: &Metadata) -> InodeKey {
    (metadata.dev(), metadata.ino())
}

/// Returns the id of the model that a partial is for, where the partial says it.
fn id_of(partial: &Path) -> Option<String> {
    PartialMeta::read(partial).and_then(|meta| meta.id).or_else(|| sealed_id(&view_of(partial)))
}
