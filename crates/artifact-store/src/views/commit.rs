//! Commits a verified model: its blobs, and a sealed view.

use std::collections::BTreeSet;

use file_hashing::SharedWatch;
use provisioner_core::{CatalogRecord, Placement, RelativePath, StagedFile, Timestamp, VerifiedModel};

use crate::{
    blobs::blob::Blob,
    error::{Error, Result},
    layout::Store,
    locks::store_lock::StoreLock,
    parallel::each,
    staging::partial_file::is_linked,
    views::{
        build::{build, open_to_readers},
        pending::PendingView,
        seal::write_seal,
    },
};

/// How many files the store turns into blobs at once.
const BLOBS_AT_ONCE: usize = 8;

impl Store {
    /// Turns a verified model's files into blobs and a sealed view, and returns its record. The store moves the staged
    /// files, and leaves those alone that it has already. A view that is there already stays, and the store repairs it where
    /// it lies. `watch` receives how many more bytes the store has read of links to other tools' files, and returns whether
    /// to go on.
    ///
    /// The caller holds the store lock, shared, so that no process removes what the commit finds. It keeps the lock until a
    /// record names the view.
    ///
    /// # Errors
    /// The failures of the disk; [`Error::Leased`] where a live process uses a view of other files in that folder;
    /// [`Error::Changed`] for a file that another tool wrote to meanwhile; [`Error::Cancelled`]. Then no half of a view is
    /// visible, and each staged file can be committed again or is a blob.
    pub fn commit(
        &self,
        _lock: &StoreLock,
        model: &VerifiedModel,
        now: Timestamp,
        watch: &SharedWatch<'_>,
    ) -> Result<CatalogRecord> {
        let staged = model.staged();
        let root = self.view(&staged.manifest().view_path()?);
        // The seal that is there may be of another id, which has the same files at the same revision.
        let of_this_id = |stamps| CatalogRecord::new(model, &Placement::in_store(root.clone(), stamps), now);
        let partial = self.begin_view(&root)?;
        let stamps = staged.files().iter().map(|file| file.stamp).collect();
        write_seal(&partial.view(), &of_this_id(stamps))?;
        let blobs = self.insert_all(staged.files())?;
        sync_folders_of(&blobs)?;
        let aside = partial.view();
        let view = PendingView { root: &root, aside: &aside, blobs: &blobs, record_of: &of_this_id, watch };
        let record = match self.repair_view(view)? {
            Some(record) => record,
            None => self.publish(view)?,
        };
        partial.discard()?;
        Ok(record)
    }

    /// Returns the sizes, in bytes, of the files that a commit reads once more: they are links to other tools' files.
    pub fn externally_linked_sizes(&self, model: &VerifiedModel) -> Vec<u64> {
        let is_externally_linked = |file: &&StagedFile| {
            is_linked(&file.location)
                || file.sha256.as_ref().is_some_and(|sha256| self.is_externally_linked(sha256))
        };
        model.staged().files().iter().filter(is_externally_linked).map(|file| file.stamp.size).collect()
    }

    /// Turns staged files into blobs, several at once: a disk makes many files durable in the time of one.
    fn insert_all<'a>(&self, files: &'a [StagedFile]) -> Result<Vec<(&'a RelativePath, Blob)>> {
        let hashed = files.iter().map(|file| match &file.sha256 {
            Some(sha256) => Ok((sha256, file)),
            None => Err(unhashed(&file.path)),
        });
        let mut hashed = hashed.collect::<Result<Vec<_>>>()?;
        hashed.sort_by_key(|(sha256, _)| *sha256);
        // The same bytes under several names become one blob.
        let same_bytes = hashed.chunk_by(|(one, _), (other, _)| one == other);
        let by_digest: Vec<_> = same_bytes.filter_map(<[_]>::split_first).collect();
        self.create_blob_folders(by_digest.iter().map(|((sha256, _), _)| *sha256))?;
        let made = each(&by_digest, BLOBS_AT_ONCE, |((sha256, first), others)| {
            let blob = if is_linked(&first.location) {
                self.insert_link(&first.location, sha256, &first.stamp)?
            } else {
                self.insert(&first.location, sha256)?
            };
            for (_, other) in others.iter().filter(|(_, other)| *other.location != *blob.path) {
                self.drop_staged(&other.location)?;
            }
            Ok(blob)
        })?;
        let mut blobs = Vec::with_capacity(files.len());
        for (((_, first), others), blob) in by_digest.into_iter().zip(made) {
            blobs.extend(others.iter().map(|(_, other)| (&other.path, blob.clone())));
            blobs.push((&first.path, blob));
        }
        blobs.sort_unstable_by_key(|(path, _)| *path);
        Ok(blobs)
    }

    /// Builds a view aside, seals it, and renames it into place.
    fn publish(&self, view: PendingView<'_>) -> Result<CatalogRecord> {
        let PendingView { root, aside, blobs, record_of, watch } = view;
        build(aside, blobs)?;
        let record = record_of(self.stamps(aside, blobs, watch)?);
        write_seal(aside, &record)?;
        open_to_readers(aside)?;
        let parent = root.parent().unwrap_or(root);
        durable_fs::create_folders(parent)?;
        match fs_err::rename(aside, root) {
            Ok(()) => {}
            // Another process was faster.
            Err(_) if root.exists() => {
                fs_err::remove_dir_all(aside)?;
                if let Some(theirs) = self.repair_view(view)? {
                    return Ok(theirs);
                }
                return self.publish(view);
            }
            Err(error) => return Err(error.into()),
        }
        durable_fs::sync_folder(parent)?;
        self.prepare_lease(root);
        Ok(record)
    }
}

/// Makes the names of blobs durable, several folders at once.
fn sync_folders_of(blobs: &[(&RelativePath, Blob)]) -> Result<()> {
    let folders: BTreeSet<_> = blobs.iter().filter_map(|(_, blob)| blob.path.parent()).collect();
    let folders: Vec<_> = folders.into_iter().collect();
    each(&folders, BLOBS_AT_ONCE, |folder| Ok(durable_fs::sync_folder(folder)?)).map(drop)
}

/// Makes the error of a staged file without a digest.
fn unhashed(path: &RelativePath) -> Error {
    Error::NotOurs(format!("`{path}` was never hashed"))
}

#[cfg(test)]
mod tests;
