//! Folders with the names that an engine expects.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use provisioner_core::{
    CatalogRecord, ModelRef, Placement, RelativePath, StagedFile, Stamp, Timestamp, VerifiedModel,
};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use serde::{Deserialize, Serialize};

use crate::{
    Blob, Error, GoOn, Result, Store, StoreLock, partial_file::is_linked, store_lock::STORE_LOCK_WAIT,
    threads::each,
};

mod repair;

pub(crate) const SEAL: &str = ".model.json";
pub(crate) const SEAL_SCHEMA: u64 = 1;

/// The name that a seal gets when the removal of its view begins.
pub(crate) const REMOVED: &str = ".removed.json";
const MAX_SEAL_BYTES: u64 = 64 << 20;

/// How many files are made blobs at once.
const PUT_IN_AT_ONCE: usize = 8;

/// A view that is whole.
#[derive(Clone, Debug)]
pub struct SealedView {
    /// Its folder.
    pub root: PathBuf,
    /// What the catalog said of the model when the view was made.
    pub record: CatalogRecord,
}

/// How a seal looks on disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Seal {
    pub(crate) schema_version: u64,
    pub(crate) record: CatalogRecord,
}

impl Store {
    /// Makes a verified model's files blobs and a sealed view, and returns its record. The staged files are moved; those
    /// that the store has already are left alone. A view that is there already stays, and is mended where it lies.
    ///
    /// # Errors
    /// What the disk says; [`Error::Leased`] where a live process uses a view of other files at that place. Then no half of a view is visible, and what was staged can be committed again or is a blob.
    pub fn commit(&self, model: &VerifiedModel, now: Timestamp) -> Result<CatalogRecord> {
        self.commit_while(model, now, &|_| true)
    }

    /// Does what [`commit`](Self::commit) does. `go_on` is told how many bytes more were read of files that are somebody
    /// else's too, and says whether to go on.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); [`Error::Changed`] for a file whose owner wrote to it meanwhile; [`Error::GivenUp`].
    pub fn commit_while(
        &self,
        model: &VerifiedModel,
        now: Timestamp,
        go_on: &GoOn<'_>,
    ) -> Result<CatalogRecord> {
        let _lock = self.lock_shared(STORE_LOCK_WAIT)?;
        let staged = model.staged();
        let root = self.view(&staged.manifest().view_path()?);
        // The seal may be of another id, which has the same files at the same revision.
        let of_this_id = |stamps| CatalogRecord::new(model, &Placement::in_store(root.clone(), stamps), now);
        let scaffold = self.begin_view(&root)?;
        let stamps = staged.files().iter().map(|file| file.stamp).collect();
        write_seal(&scaffold.view(), &of_this_id(stamps))?;
        let blobs = self.put_in(staged.files())?;
        let folders: BTreeSet<_> = blobs.iter().filter_map(|(_, blob)| blob.path.parent()).collect();
        folders.into_iter().try_for_each(durable_fs::sync_folder)?;
        let record = match self.repair_view(&root, &scaffold.view(), &blobs, &of_this_id, go_on)? {
            Some(record) => record,
            None => self.place(&root, &scaffold.view(), &blobs, &of_this_id, go_on)?,
        };
        scaffold.discard()?;
        Ok(record)
    }

    /// The sizes, in bytes, of a model's files that a commit reads once more, for they are somebody else's too.
    pub fn externally_linked_sizes(&self, model: &VerifiedModel) -> Vec<u64> {
        let is_externally_linked = |file: &&StagedFile| {
            is_linked(&file.location)
                || file.sha256.as_ref().is_some_and(|sha256| self.is_externally_linked(sha256))
        };
        model.staged().files().iter().filter(is_externally_linked).map(|file| file.stamp.size).collect()
    }

    /// Makes staged files blobs, several at once: a disk makes many files durable in the time of one.
    fn put_in<'a>(&self, files: &'a [StagedFile]) -> Result<Vec<(&'a RelativePath, Blob)>> {
        // The same bytes under several names are put in once.
        let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for file in files {
            alike.entry(file.sha256.as_ref().ok_or_else(|| unhashed(&file.path))?).or_default().push(file);
        }
        let alike: Vec<_> = alike.into_iter().collect();
        let done = each(&alike, PUT_IN_AT_ONCE, |(sha256, files)| {
            let Some((first, others)) = files.split_first() else { return Ok(Vec::new()) };
            let blob = if is_linked(&first.location) {
                self.insert_shared(&first.location, sha256, &first.stamp)?
            } else {
                self.insert(&first.location, sha256)?
            };
            for other in others.iter().filter(|other| other.location != blob.path) {
                self.drop_staged(&other.location)?;
            }
            Ok(files.iter().map(|file| (&file.path, blob.clone())).collect())
        });
        let mut blobs: Vec<_> = done?.into_iter().flatten().collect();
        blobs.sort_unstable_by_key(|(path, _)| *path);
        Ok(blobs)
    }

    /// Builds a view aside, seals it, and renames it into place.
    fn place(
        &self,
        root: &Path,
        aside: &Path,
        blobs: &[(&RelativePath, Blob)],
        record_of: &dyn Fn(Vec<Stamp>) -> CatalogRecord,
        go_on: &GoOn<'_>,
    ) -> Result<CatalogRecord> {
        build(aside, blobs)?;
        let record = record_of(self.stamps(aside, blobs, go_on)?);
        write_seal(aside, &record)?;
        open_to_readers(aside)?;
        let parent = root.parent().unwrap_or(root);
        durable_fs::create_folders(parent)?;
        match fs_err::rename(aside, root) {
            Ok(()) => {}
            // Another process was faster.
            Err(_) if root.exists() => {
                fs_err::remove_dir_all(aside)?;
                if let Some(theirs) = self.repair_view(root, aside, blobs, record_of, go_on)? {
                    return Ok(theirs);
                }
                return self.place(root, aside, blobs, record_of, go_on);
            }
            Err(error) => return Err(error.into()),
        }
        durable_fs::sync_folder(parent)?;
        self.prepare_lease(root);
        Ok(record)
    }

    /// Every sealed view.
    ///
    /// # Errors
    /// What keeps the folders from being read.
    pub fn views(&self) -> Result<Vec<SealedView>> {
        let mut found = Vec::new();
        let mut folders = vec![self.models()];
        while let Some(folder) = folders.pop() {
            if let Some(record) = read_seal(&folder)? {
                found.push(SealedView { root: folder, record });
                continue;
            }
            // Below a view that is going, or whose seal cannot be read, there are its files, and no views.
            if folder.join(SEAL).exists() || folder.join(REMOVED).exists() {
                continue;
            }
            folders.extend(subfolders(&folder)?);
        }
        found.sort_unstable_by(|a, b| a.root.cmp(&b.root));
        Ok(found)
    }

    /// A record whose files lie in this store, whatever the store was called when it was written: it may have been moved, or
    /// be seen through another mount or a symlink. One of files that are not the store's is left as it is.
    #[must_use]
    pub fn relocated(&self, record: CatalogRecord) -> CatalogRecord {
        if self.holds(record.root()) {
            return record;
        }
        let Some(root) = home_of(&record).map(|home| self.view(&home)) else { return record };
        CatalogRecord { local_path: in_view(&record, &root), ..record }
    }

    /// Whether a path lies below the folder of all views.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(self.models())
    }

    /// Takes the view of a record whose bytes were found to be wrong out of use, under the exclusive store lock, and believes none of
    /// its blobs before they were read again. Returns whether it did: what a live process uses stays where it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn invalidate(&self, _lock: &StoreLock, record: &CatalogRecord) -> Result<bool> {
        let root = record.root();
        if !self.holds(root) {
            return Ok(false);
        }
        for file in &record.files {
            if let Some(sha256) = &file.sha256 {
                let is_externally_linked = file.stamp.ctime_ns.is_some() || self.is_externally_linked(sha256);
                self.distrust(sha256);
                // One that is wrong loses its name, for a name means verified.
                if self.blob(sha256)?.is_none() && !is_externally_linked {
                    distrust_links(&root.join(&file.path));
                }
            }
        }
        match self.block_leases(root, &record.id) {
            Err(Error::Leased { .. }) => return Ok(false),
            excluded => {
                let _alone = excluded?;
                if root.exists() {
                    self.quarantine(root)?;
                }
            }
        }
        Ok(true)
    }

    /// Whether the view at a place is whole, as far as its seal says: not one whose removal was begun.
    pub fn is_sealed(&self, root: &Path) -> bool {
        root.join(SEAL).exists()
    }

    /// Seals a view again whose files were found to be those of a record. One that is sealed is left as it is.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for what is no view of this store; [`Error::Io`].
    pub fn seal_again(&self, record: &CatalogRecord) -> Result<()> {
        let root = record.root();
        if !self.holds(root) {
            return Err(Error::NotOurs(format!("`{}` is no view of this store", root.display())));
        }
        if self.is_sealed(root) { Ok(()) } else { self.reseal(record) }
    }

    #[expect(clippy::unused_self, reason = "what is sealed belongs to the store")]
    pub(crate) fn reseal(&self, record: &CatalogRecord) -> Result<()> {
        write_seal(record.root(), record)?;
        let _ = fs_err::remove_file(record.root().join(REMOVED));
        Ok(())
    }
}

/// Gives a file of ours another time: all views that have a link to it are to look at its bytes before they are used.
fn distrust_links(path: &Path) {
    let of = |nanoseconds| Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    let now = Timestamps { last_access: of(UTIME_OMIT), last_modification: of(UTIME_NOW) };
    let touched = fs_err::File::open(path).and_then(|file| Ok(rustix::fs::futimens(file, &now)?));
    if let Err(error) = touched {
        tracing::warn!("what else has the bytes of `{}` is not warned: {error}", path.display());
    }
}

fn write_seal(folder: &Path, record: &CatalogRecord) -> Result<()> {
    let seal = Seal { schema_version: SEAL_SCHEMA, record: record.clone() };
    let json = serde_json::to_vec_pretty(&seal).map_err(io::Error::from)?;
    Ok(durable_fs::replace(&folder.join(SEAL), &json)?)
}

/// Links the blobs into a folder, and syncs it.
fn build(folder: &Path, blobs: &[(&RelativePath, Blob)]) -> Result<()> {
    let mut is_told = false;
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for (path, blob) in blobs {
        let place = folder.join(path);
        for above in place.ancestors().skip(1).take_while(|above| above.starts_with(folder)) {
            folders.insert(above.to_owned());
        }
        fs_err::create_dir_all(place.parent().unwrap_or(folder))?;
        // What is there is another file of this model, whose name is the same to this file system: `A` and `a`, or one
        // letter in two encodings. Copying would write over it, and through its link over the blob.
        if fs_err::symlink_metadata(&place).is_ok() {
            return Err(same_name(path));
        }
        if let Err(error) = std::fs::hard_link(&blob.path, &place) {
            // No links here, too many, or another device. Where the file system can share blocks, this does.
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(
                    "`{path}` cannot be linked into its view ({error}), and is copied; so may be others"
                );
            }
            copy(&blob.path, &place)?;
        }
    }
    folders.iter().try_for_each(|folder| durable_fs::sync_folder(folder))?;
    Ok(())
}

fn copy(blob: &Path, place: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs_err::copy(blob, place)?;
    let file = fs_err::File::open(place)?;
    file.file().set_modified(fs_err::metadata(blob)?.modified()?)?;
    fs_err::set_permissions(place, PermissionsExt::from_mode(0o444))?;
    file.sync_all()?;
    Ok(())
}

/// A view is for engines of any user, whatever the umask.
fn open_to_readers(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs_err::set_permissions(folder, PermissionsExt::from_mode(0o755))?)
}

/// What the seal of a view says. It is believed where that very model has its view: a file that only looks like a seal says
/// nothing.
///
/// # Errors
/// What keeps it from being read: that is not the want of a seal.
pub(crate) fn read_seal(root: &Path) -> Result<Option<CatalogRecord>> {
    Ok(read(&root.join(SEAL))?.and_then(|record| relocated(record, root)))
}

/// The id that a seal names, wherever its folder lies now: in the quarantine, or in a partial.
pub(crate) fn sealed_id(root: &Path) -> Option<String> {
    read(&root.join(SEAL)).ok()?.map(|record| record.id)
}

/// A record of this view, whose files are here: the store may have been moved, or copied from elsewhere.
fn relocated(record: CatalogRecord, root: &Path) -> Option<CatalogRecord> {
    let local_path = in_view(&record, root);
    root.ends_with(home_of(&record)?).then_some(CatalogRecord { local_path, ..record })
}

/// Where the view of a record belongs, below the folder of all views. `None` for what is in no store.
fn home_of(record: &CatalogRecord) -> Option<RelativePath> {
    match record.id.parse().ok()? {
        ModelRef::Local(_) => None,
        fetched => fetched.view_path(record.revision.as_deref()).ok(),
    }
}

/// What is handed out of a view.
fn in_view(record: &CatalogRecord, root: &Path) -> PathBuf {
    record.entry.as_ref().map_or_else(|| root.to_owned(), |entry| root.join(entry))
}

/// What a view was whose removal was begun.
pub(crate) fn read_mark(root: &Path) -> Result<Option<CatalogRecord>> {
    Ok(read(&root.join(REMOVED))?.and_then(|record| relocated(record, root)))
}

/// What a view is to be that is not whole, and not in its place.
pub(crate) fn read_draft(aside: &Path) -> Result<Option<CatalogRecord>> {
    read(&aside.join(SEAL))
}

fn read(seal: &Path) -> Result<Option<CatalogRecord>> {
    let bytes = match durable_fs::read(seal, MAX_SEAL_BYTES) {
        // What we did not write is not a seal.
        Err(durable_fs::Error::NotOurs { .. }) => None,
        read => read?,
    };
    let seal = bytes.and_then(|bytes| serde_json::from_slice::<Seal>(&bytes).ok());
    Ok(seal.filter(|seal| seal.schema_version <= SEAL_SCHEMA).map(|seal| seal.record))
}

/// The folders in a folder, but for hidden ones.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

fn same_name(path: &RelativePath) -> Error {
    let what = format!(
        "`{path}` has the name of another file of the model, to this file system: use one that tells letter case apart"
    );
    io::Error::new(io::ErrorKind::AlreadyExists, what).into()
}

fn unhashed(path: &RelativePath) -> Error {
    Error::NotOurs(format!("`{path}` was never hashed"))
}

#[cfg(test)]
pub(crate) mod tests;
