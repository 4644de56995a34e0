//! What the store holds, by what `stat` says.
//!
//! No byte of a model is read, and of its seals only those of views that the catalog does not know.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provisioner_core::{CatalogRecord, Digest, Lifecycle, Timestamp};

use crate::{
    LeftoverEntry, LeftoverKind, Result, Store,
    eviction::{Claim, EvictionUnit, Inode, StoreInventory, freed},
    leftover::Leftover,
    partial::{DISCARDED, NEW, can_go_on},
    partial_meta,
    space::{allocated, is_held},
    used::modified,
    view::{REMOVED, SEAL, read_mark, read_seal, sealed_id},
};

/// The key of an inode.
type InodeKey = (u64, u64);

/// An inventory that is being put together.
struct Scan<'a> {
    store: &'a Store,
    inventory: StoreInventory,
    places: HashMap<InodeKey, usize>,
    /// How many links of an inode were seen, and how many it has.
    links: Vec<(u64, u64)>,
    blobs: BTreeMap<PathBuf, usize>,
    /// The stamp of each blob's inode.
    stamps: HashMap<usize, usize>,
    recorded: BTreeMap<PathBuf, Vec<&'a CatalogRecord>>,
}

impl Store {
    /// What the store holds, beside these records. `pinned` are digests of blobs that are to stay.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn inventory(&self, records: &[CatalogRecord], pinned: &[Digest]) -> Result<StoreInventory> {
        let mut scan = Scan::new(self, records);
        scan.count_blobs()?;
        scan.visit(&self.models(), &mut Vec::new())?;
        scan.count_quarantine()?;
        scan.count_partials(self.trusts_locks())?;
        scan.finish(pinned)
    }

    /// The unfinished transfers, and what was found to be wrong, with what each takes. It looks at nothing else, and writes
    /// nothing; so it takes every lock at its word.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn leftovers(&self) -> Result<Vec<LeftoverEntry>> {
        let mut scan = Scan::new(self, &[]);
        scan.count_quarantine()?;
        scan.count_partials(true)?;
        scan.mark_ours();
        let StoreInventory { inodes, leftovers, .. } = scan.inventory;
        let listed = leftovers
            .into_iter()
            .filter(|left| matches!(left.kind, LeftoverKind::Partial | LeftoverKind::Quarantined));
        let entry = |left: Leftover| {
            let bytes = freed(&left.inodes.iter().map(|&place| &inodes[place]).collect::<Vec<_>>());
            let Leftover { path, id, kind, changed_at, is_held, .. } = left;
            LeftoverEntry { id, kind, path, bytes, changed_at, is_held }
        };
        Ok(listed.map(entry).collect())
    }
}

impl<'a> Scan<'a> {
    fn new(store: &'a Store, records: &'a [CatalogRecord]) -> Self {
        let mut recorded: BTreeMap<PathBuf, Vec<_>> = BTreeMap::new();
        let mut inventory = StoreInventory::default();
        for record in records {
            if store.holds(record.root()) {
                recorded.entry(record.root().to_owned()).or_default().push(record);
            } else {
                inventory.local.push(record.id.clone());
            }
        }
        Self {
            store,
            inventory,
            places: HashMap::new(),
            links: Vec::new(),
            blobs: BTreeMap::new(),
            stamps: HashMap::new(),
            recorded,
        }
    }

    /// The inode of an inode, one of whose links was found.
    fn inode(&mut self, metadata: &Metadata) -> usize {
        let next = self.inventory.inodes.len();
        let place = *self.places.entry((metadata.dev(), metadata.ino())).or_insert(next);
        if place == next {
            let bytes = allocated(metadata);
            self.inventory.inodes.push(Inode { bytes, is_ours: true, blob: None });
            // A folder's links are its own.
            self.links.push((0, if metadata.is_dir() { 0 } else { metadata.nlink() }));
        }
        self.links[place].0 += 1;
        place
    }

    /// Every inode at a path and below it.
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
        for folder in entries(&self.store.root().join("blobs/sha256"))? {
            for path in entries(&folder)? {
                let Some(metadata) = look(&path)?.filter(Metadata::is_file) else { continue };
                let is_hidden = is_named(&path, ".");
                if !is_hidden && path.extension().is_none() {
                    let place = self.inode(&metadata);
                    self.inventory.inodes[place].blob = Some(path.clone());
                    self.blobs.insert(path, place);
                } else if is_hidden {
                    self.leave(&path, LeftoverKind::Unfinished, false)?;
                } else if let Some(&blob) = self.blobs.get(&path.with_extension("")) {
                    let stamp = self.inode(&metadata);
                    self.stamps.insert(blob, stamp);
                } else {
                    self.leave(&path, LeftoverKind::Gone, false)?;
                }
            }
        }
        Ok(())
    }

    /// Looks for views in a folder. `above` are the inodes of the folders above: they go when they become empty.
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
                let place = self.inode(&metadata);
                above.push(place);
                self.visit(&path, above)?;
                above.pop();
            }
        }
        if has_folders {
            // The folders beside it may be models: it is told of by itself.
            for (path, place) in strays {
                self.add_unsealed(&path, vec![place]);
            }
        } else if !strays.is_empty() {
            let inodes: BTreeSet<_> =
                strays.iter().map(|(_, place)| place).chain(above.iter()).copied().collect();
            self.add_unsealed(folder, inodes.into_iter().collect());
        }
        Ok(())
    }

    fn add_unsealed(&mut self, path: &Path, inodes: Vec<usize>) {
        let mut unit = EvictionUnit::of(path, self.store.name_of_view(path));
        unit.claim = Some(Claim::Unsealed);
        unit.inodes = inodes;
        self.inventory.units.push(unit);
    }

    fn is_view(&self, path: &Path) -> bool {
        self.recorded.contains_key(path) || path.join(SEAL).exists() || path.join(REMOVED).exists()
    }

    fn add_view(&mut self, root: &Path, above: &[usize]) -> Result<()> {
        let mut inodes = BTreeSet::new();
        self.tree(root, &mut inodes)?;
        let records = self.recorded.get(root).cloned().unwrap_or_default();
        let is_sealed = root.join(SEAL).exists();
        let is_going = !is_sealed && root.join(REMOVED).exists();
        let lone = if !records.is_empty() {
            None
        } else if is_going {
            read_mark(root)?
        } else {
            read_seal(root)?
        };
        let known: Vec<&CatalogRecord> = records.iter().copied().chain(&lone).collect();
        let mut unit = EvictionUnit::of(root, self.store.name_of_view(root));
        if !known.is_empty() {
            unit.ids = known.iter().map(|record| record.id.clone()).collect();
            unit.ids.sort_unstable();
            unit.is_retired = known.iter().all(|record| record.lifecycle == Lifecycle::Retired);
        }
        let data: BTreeSet<_> = known
            .iter()
            .flat_map(|record| &record.files)
            .flat_map(|file| {
                let sha256 = file.sha256.as_ref();
                let blob = sha256.and_then(|sha256| self.blobs.get(&self.store.blob_path(sha256)));
                let place = fs_err::symlink_metadata(root.join(&file.path)).ok();
                let place = place.and_then(|metadata| self.places.get(&(metadata.dev(), metadata.ino())));
                blob.into_iter().chain(place).copied()
            })
            .collect();
        inodes.extend(&data);
        inodes.extend(above);
        unit.is_going = is_going;
        unit.used_at = unit.ids.iter().filter_map(|id| self.store.last_used(id)).max();
        unit.recorded_at = known.iter().map(|record| record.created_at).max();
        unit.claim = self.claim(root, &unit.ids, is_sealed || is_going);
        unit.inodes = inodes.into_iter().collect();
        unit.data = data.into_iter().collect();
        self.inventory.units.push(unit);
        Ok(())
    }

    fn claim(&self, root: &Path, ids: &[String], is_whole: bool) -> Option<Claim> {
        let leased = || ids.first().and_then(|id| self.store.leased(root, id)).map(Claim::Leased);
        let brought = || ids.iter().find_map(|id| self.store.brought(id));
        leased().or_else(brought).or_else(|| (!is_whole).then_some(Claim::Unsealed))
    }

    /// Notes a leftover, and returns its inodes for others to be added.
    fn leave(&mut self, path: &Path, kind: LeftoverKind, is_held: bool) -> Result<&mut Vec<usize>> {
        let mut inodes = BTreeSet::new();
        self.tree(path, &mut inodes)?;
        let inodes = inodes.into_iter().collect();
        let id = match kind {
            LeftoverKind::Partial => partial_meta::id_of(path),
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
            let held = !is_going && (is_held(&path.join("lock")) || !is_lost());
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

    /// Adds what follows from the whole: orphans, stamps, and which inodes are only ours.
    fn finish(mut self, pinned: &[Digest]) -> Result<StoreInventory> {
        let roots: HashSet<_> = self.inventory.units.iter().map(|unit| &unit.root).collect();
        let missing = self.recorded.iter().filter(|(root, _)| !roots.contains(root));
        let missing: Vec<&CatalogRecord> = missing.flat_map(|(_, records)| records.iter().copied()).collect();
        self.inventory.missing = missing.iter().map(|record| record.id.clone()).collect();
        let blob_of = |sha256| self.blobs.get(&self.store.blob_path(sha256)).copied();
        let mut used: HashSet<usize> =
            self.inventory.units.iter().flat_map(|unit| unit.inodes.iter().copied()).collect();
        // A model whose view is gone is linked again from its blobs.
        let files = missing.iter().flat_map(|record| &record.files);
        used.extend(files.filter_map(|file| blob_of(file.sha256.as_ref()?)));
        self.inventory.pinned = pinned.iter().filter_map(blob_of).collect();
        let is_needed = self.store.has_model_lock()?;
        for (path, &place) in self.blobs.iter().filter(|(_, place)| !used.contains(place)) {
            self.inventory.leftovers.push(Leftover {
                path: path.clone(),
                id: None,
                kind: LeftoverKind::Blob,
                changed_at: last_change(path),
                is_held: is_needed,
                inodes: vec![place],
            });
        }
        let with_stamps = |inodes: &mut Vec<usize>| {
            let stamps: Vec<_> = inodes.iter().filter_map(|place| self.stamps.get(place)).collect();
            inodes.extend(stamps);
        };
        self.inventory.units.iter_mut().for_each(|unit| with_stamps(&mut unit.inodes));
        let orphans = self.inventory.leftovers.iter_mut().filter(|left| left.kind == LeftoverKind::Blob);
        orphans.for_each(|left| with_stamps(&mut left.inodes));
        self.mark_ours();
        self.inventory.units.sort_by(|a, b| a.root.cmp(&b.root));
        self.inventory.leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        self.inventory.promised_bytes = self.store.promised()?;
        Ok(self.inventory)
    }

    /// Marks the inodes all of whose links were seen.
    fn mark_ours(&mut self) {
        for (inode, (seen, has)) in self.inventory.inodes.iter_mut().zip(&self.links) {
            inode.is_ours = seen >= has;
        }
    }
}

/// What `stat` says; `None` where it is gone already.
pub(crate) fn look(path: &Path) -> Result<Option<Metadata>> {
    match fs_err::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The paths in a folder, sorted; none where it is no folder, or gone.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = match fs_err::read_dir(folder) {
        Ok(read) => read,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

pub(crate) fn is_named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

/// The last time at which anything at a path was modified, itself or right in it.
fn last_change(path: &Path) -> Option<Timestamp> {
    let below = entries(path).unwrap_or_default();
    let all = below.iter().map(PathBuf::as_path).chain([path]);
    all.filter_map(|path| fs_err::symlink_metadata(path).ok())
        .filter_map(|metadata| modified(&metadata))
        .max()
}
