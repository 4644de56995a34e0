//! Keeps blobs that are links to files of other tools.
//!
//! # Model
//! A file that was adopted by a hard link has one inode and two users: the store and the other tool. Its mode, its times and
//! its bytes are the other tool's, and stay as they are. The other tool may write to it. So the blob's stamp keeps the time
//! that no program can set back, and each resolve compares it. If only the stamp changed, the store hashes the bytes once and
//! records the new stamp. If the bytes changed, the store unlinks its blob.
//!
//! # The store's own links
//! A link of the store changes that time too, and between any two steps of the store the other tool may write and set the
//! modification time back. So no record is carried over a link. After the last link the store reads the bytes once more, and
//! records the stamp that the file had before and after that reading. Another model may add a link to the blob later; then
//! the next `ensure` of this model reads its file once more.
//!
//! From the moment at which such a blob has its name until then, its recorded stamp is one that no file has. A process that
//! finds the blob reads it.

use std::{
    collections::HashSet,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use file_hashing::{FreshStamp, SharedWatch, open, read_settled};
use provisioner_core::{Digest, RelativePath, Stamp};

use crate::{
    blobs::{
        blob::{Blob, look_at},
        stamp::of_no_file,
    },
    error::{Error, Result},
    files::allocated_bytes,
    layout::Store,
    parallel::{cores, each},
};

impl Store {
    /// Makes a link to another tool's file, whose bytes were verified at this stamp, the blob of its SHA-256. The file
    /// itself stays as it is. The store does not sync the blob's folder yet, and [`stamps`](Self::stamps) records its stamp.
    pub(crate) fn insert_link(&self, linked: &Path, sha256: &Digest, verified: &Stamp) -> Result<Blob> {
        let path = self.blob_path(sha256);
        if let (Ok(ours), true) = (fs_err::symlink_metadata(&path), self.is_externally_linked(sha256))
            && fs_err::symlink_metadata(linked).is_ok_and(|theirs| is_same_file(&theirs, &ours))
        {
            // The store reads the bytes after the last link, and would read them here in vain.
            self.drop_staged(linked)?;
            return Ok(Blob { path, sha256: sha256.clone(), stamp: Stamp::of(&ours) });
        }
        if let Some(blob) = self.blob(sha256)? {
            self.drop_staged(linked)?;
            return Ok(blob);
        }
        let changed = || Error::Changed { path: linked.to_owned() };
        let mut file = open(linked)?.ok_or_else(changed)?;
        let fresh = FreshStamp::of(&file)?;
        let mut stamp = fresh.stamp();
        if stamp != *verified {
            // Another process may be linking it too.
            let found = read_settled(&mut file, fresh, false, &mut |_| true)?.ok_or_else(changed)?;
            if found.sha256 != *sha256 {
                return Err(changed());
            }
            stamp = found.after;
        }
        // The tool that wrote the file may not have synced it.
        file.sync_all()?;
        durable_fs::create_folders(path.parent().unwrap_or(&path))?;
        self.record_stamp(&path, of_no_file(stamp))?;
        fs_err::rename(linked, &path)?;
        self.clear_partial(linked)?;
        Ok(Blob { path, sha256: sha256.clone(), stamp })
    }

    /// Returns the stamps to record of the files in a folder that were made from blobs. The caller makes no more links. The
    /// store reads the links to other tools' files once more.
    pub(crate) fn stamps(
        &self,
        folder: &Path,
        blobs: &[(&RelativePath, Blob)],
        go_on: &SharedWatch<'_>,
    ) -> Result<Vec<Stamp>> {
        // All links begin to settle before the store reads the first of them.
        let mut files = Vec::with_capacity(blobs.len());
        for (path, blob) in blobs {
            let fresh = blob.is_externally_linked().then(|| fresh_stamp(folder.join(path))).transpose()?;
            files.push((*path, blob, fresh));
        }
        each(&files, cores(), |(path, blob, fresh)| match fresh {
            Some(fresh) => self.stamp_of_link(&folder.join(path), *fresh, blob, go_on),
            None => own_stamp(folder.join(path)),
        })
    }

    /// Returns the stamp to record of a file that was made from a blob, where the blob is a link: that of the very bytes with its
    /// digest.
    fn stamp_of_link(
        &self,
        path: &Path,
        fresh: FreshStamp,
        blob: &Blob,
        go_on: &SharedWatch<'_>,
    ) -> Result<Stamp> {
        let now = fresh.stamp();
        let changed = || Error::Changed { path: path.to_owned() };
        let mut file = open(path)?.ok_or_else(changed)?;
        let found = read_settled(&mut file, fresh, false, &mut |bytes| go_on(bytes))?;
        let found = found.ok_or_else(changed)?;
        let is_link = (now.dev, now.inode) == (blob.stamp.dev, blob.stamp.inode);
        if found.sha256 != blob.sha256 {
            if is_link {
                self.quarantine_blob(&blob.path)?;
            }
            return Err(changed());
        }
        // Where there can be no link, this is a copy, which no other tool has.
        if !is_link {
            return Ok(found.after.without_ctime());
        }
        self.record_stamp(&blob.path, found.after)?;
        Ok(found.after)
    }

    /// Removes those of some blobs that are links to other tools' files and that no view has. Returns how many bytes that
    /// freed: a file that another tool still has frees none.
    pub(crate) fn remove_unused_externally_linked<'a>(
        &self,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<u64> {
        let links: Vec<_> = digests.into_iter().filter(|sha256| self.is_externally_linked(sha256)).collect();
        if links.is_empty() {
            return Ok(0);
        }
        let views = self.views()?;
        let files = views.iter().flat_map(|view| view.record.files.iter());
        let used: HashSet<&Digest> = files.filter_map(|file| file.sha256.as_ref()).collect();
        let mut freed = 0;
        for sha256 in links.into_iter().filter(|sha256| !used.contains(sha256)) {
            let path = self.blob_path(sha256);
            if fs_err::symlink_metadata(&path).is_ok_and(|metadata| metadata.nlink() == 1) {
                freed += allocated_bytes(&path);
            }
            Self::remove_blob(&path)?;
        }
        Ok(freed)
    }
}

/// Returns the stamp of a file before its last link has settled.
fn fresh_stamp(path: PathBuf) -> Result<FreshStamp> {
    FreshStamp::at(&path)?.ok_or(Error::Changed { path })
}

/// Returns the stamp to record of a file that the store alone links.
fn own_stamp(path: PathBuf) -> Result<Stamp> {
    let metadata = look_at(&path)?.ok_or(Error::Changed { path })?;
    Ok(Stamp::of(&metadata).without_ctime())
}

/// Returns whether two paths are one inode.
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
