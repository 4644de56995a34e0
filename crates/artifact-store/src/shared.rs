//! Blobs that are somebody else's files too.
//!
//! # Model
//! A file that was adopted by a hard link has one inode and two owners. Its mode, its owner, its times and its bytes are the
//! other one's, and stay as they are. The other one may write to it; so its stamp keeps the time that no program can set
//! back, and that stamp is compared on each resolve. What changed and has the same bytes is read once and goes on; what has
//! other bytes loses our name.
//!
//! # Our own links
//! They change that time too, and between any two of our own steps the other one may write and set the modification time
//! back. So what is recorded is never carried over a link: after the last one the bytes are read once more, and the stamp
//! that the file had before and behind that reading is the one that is recorded. A model whose blob got another link since,
//! by another model, is read once more by its next `ensure`.
//!
//! From the moment that a shared blob has its name until then, its recorded stamp is one that no file has: who finds the
//! blob reads it.

use std::{
    collections::HashSet,
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

use provisioner_core::{Digest, RelativePath, Stamp};

use crate::{
    Blob, Error, Result, Store,
    reading::{self, FreshStamp, Reading, Watch},
    space::allocated_bytes,
    threads::{cores, each},
};

impl Store {
    /// Makes a link to somebody else's file, whose bytes were verified when it had this stamp, the blob of its SHA-256.
    /// The file itself is left as it is. The blob's folder is not synced yet, and its stamp is recorded by
    /// [`stamps`](Self::stamps).
    pub(crate) fn insert_shared(&self, linked: &Path, sha256: &Digest, verified: &Stamp) -> Result<Blob> {
        let path = self.blob_path(sha256);
        if let (Ok(ours), true) = (fs_err::symlink_metadata(&path), self.is_externally_linked(sha256))
            && fs_err::symlink_metadata(linked).is_ok_and(|theirs| is_same_file(&theirs, &ours))
        {
            // It is read behind the last link, and would have to be read here for nothing.
            self.drop_staged(linked)?;
            return Ok(Blob { path, sha256: sha256.clone(), stamp: Stamp::of(&ours) });
        }
        if let Some(blob) = self.blob(sha256)? {
            self.drop_staged(linked)?;
            return Ok(blob);
        }
        let changed = || Error::Changed { path: linked.to_owned() };
        let mut file = reading::open(linked)?.ok_or_else(changed)?;
        let mut stamp = Stamp::of(&file.metadata()?);
        if stamp != *verified {
            // Others may be linking it too.
            let found = read_again(&mut file, &mut |_| true)?.ok_or_else(changed)?;
            if found.sha256 != *sha256 {
                return Err(changed());
            }
            stamp = found.after;
        }
        // Whoever wrote it may not have.
        file.sync_all()?;
        durable_fs::create_folders(path.parent().unwrap_or(&path))?;
        self.record_stamp(&path, of_no_file(stamp))?;
        fs_err::rename(linked, &path)?;
        self.clear_partial(linked)?;
        Ok(Blob { path, sha256: sha256.clone(), stamp })
    }

    /// The stamps to record of the files in a folder that were made from blobs, now that no more links will be made. Those
    /// of shared ones are read once more.
    pub(crate) fn stamps(
        &self,
        folder: &Path,
        blobs: &[(&RelativePath, Blob)],
        go_on: &GoOn<'_>,
    ) -> Result<Vec<Stamp>> {
        let mut files = Vec::new();
        for (path, blob) in blobs {
            let place = folder.join(path);
            let fresh = FreshStamp::at(&place)?.ok_or_else(|| Error::Changed { path: place.clone() })?;
            files.push((place, fresh, blob));
        }
        each(&files, cores(), |(place, fresh, blob)| self.stamp_of(place, *fresh, blob, go_on))
    }

    /// The stamp to record of a file that was made from a blob; where that is shared, of the very bytes that have its digest.
    fn stamp_of(&self, place: &Path, fresh: FreshStamp, blob: &Blob, go_on: &GoOn<'_>) -> Result<Stamp> {
        let now = fresh.stamp();
        if !blob.is_externally_linked() {
            return Ok(now.without_ctime());
        }
        let changed = || Error::Changed { path: place.to_owned() };
        let mut file = reading::open(place)?.ok_or_else(changed)?;
        let found = reading::read_settled(&mut file, fresh, false, &mut |bytes| go_on(bytes))?;
        let found = found.ok_or_else(changed)?;
        let is_link = (now.dev, now.inode) == (blob.stamp.dev, blob.stamp.inode);
        if found.sha256 != blob.sha256 {
            if is_link {
                self.quarantine_blob(&blob.path)?;
            }
            return Err(changed());
        }
        // Where there was no link, this is a copy, which is ours.
        if !is_link {
            return Ok(found.after.without_ctime());
        }
        self.record_stamp(&blob.path, found.after)?;
        Ok(found.after)
    }

    /// Removes the shared ones of some blobs, where no view has them, and returns how many bytes that freed: none where
    /// they are still somebody else's.
    pub(crate) fn remove_unused_externally_linked<'a>(
        &self,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<u64> {
        let shared: Vec<_> = digests.into_iter().filter(|sha256| self.is_externally_linked(sha256)).collect();
        if shared.is_empty() {
            return Ok(0);
        }
        let files = self.views()?.into_iter().flat_map(|view| view.record.files);
        let used: HashSet<Digest> = files.filter_map(|file| file.sha256).collect();
        let mut freed = 0;
        for sha256 in shared.into_iter().filter(|sha256| !used.contains(sha256)) {
            let path = self.blob_path(sha256);
            if fs_err::symlink_metadata(&path).is_ok_and(|metadata| metadata.nlink() == 1) {
                freed += allocated_bytes(&path);
            }
            Self::remove_blob(&path)?;
        }
        Ok(freed)
    }
}

/// Is told how many bytes more were read, and says whether to go on. Several threads ask it.
pub type GoOn<'a> = dyn Fn(u64) -> bool + Sync + 'a;

fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A stamp that no file has: whose it is, is told; what is there, is to be read.
pub(crate) fn of_no_file(stamp: Stamp) -> Stamp {
    Stamp { size: u64::MAX, inode: 0, ..stamp }
}

/// Reads a file that others may write to, with a stamp that is worth recording. `None` for a file that changes all the time.
pub(crate) fn read_again(file: &mut File, watch: &mut Watch<'_>) -> Result<Option<Reading>> {
    let fresh = FreshStamp::of(file)?;
    reading::read_settled(file, fresh, false, watch)
}
