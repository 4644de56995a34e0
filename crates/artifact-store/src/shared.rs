//! Blobs that are somebody else's files too.
//!
//! # Model
//! A file that was adopted by a hard link has one inode and two owners. Its mode, its owner, its times and its bytes are the
//! other one's, and stay as they are. The other one may write to it; so its stamp keeps the time that no program can set
//! back, and that stamp is compared on each resolve. What changed and has the same bytes is read once and goes on; what has
//! other bytes loses our name.
//!
//! # Our own links
//! They change that time too. So the stamps are taken after the last link was made; and a model whose blob got another
//! link since, by another model, is read once more. Between two of our own steps a writer would have to set back the
//! other times within that moment, to go unnoticed.

use std::{collections::HashSet, io, os::unix::fs::MetadataExt, path::Path, thread, time::Duration};

use provisioner_core::{Digest, RelativePath, Stamp};

use crate::{Blob, Error, Result, Store, reading, space::allocated_bytes};

/// Two of the slowest kernel's ticks: what is written in one tick can have one time.
const TICKS: Duration = Duration::from_millis(20);

/// How often a file is read once more while others link it.
const MAX_READINGS: usize = 16;

/// Waits until a write must show in the times of a file that was linked just now.
pub(crate) fn settle() {
    thread::sleep(TICKS);
}

impl Store {
    /// Makes a link to somebody else's file, whose bytes were verified when it had this stamp, the blob of its SHA-256.
    /// The file itself is left as it is. The blob's folder is not synced yet.
    pub(crate) fn insert_shared(&self, linked: &Path, sha256: &Digest, verified: &Stamp) -> Result<Blob> {
        if let Some(blob) = self.blob(sha256)? {
            // It was taken in for another place in the model, or by another process.
            match fs_err::remove_file(linked) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
            self.clear_partial(linked)?;
            return Ok(blob);
        }
        let changed = || Error::Changed { path: linked.to_owned() };
        let mut file = reading::open(linked)?.ok_or_else(changed)?;
        let mut before = *verified;
        if Stamp::of(&file.metadata()?) != before {
            // Others may be linking it too.
            let mut again = reading::read(&mut file, false, None, &mut |_| true)?;
            for _ in 0..MAX_READINGS {
                if again.before == again.after {
                    break;
                }
                again = reading::read(&mut file, false, None, &mut |_| true)?;
            }
            if again.before != again.after || again.sha256 != *sha256 {
                return Err(changed());
            }
            before = again.after;
        }
        // Whoever wrote it may not have.
        file.sync_all()?;
        let path = self.blob_path(sha256);
        durable_fs::create_folders(path.parent().unwrap_or(&path))?;
        fs_err::rename(linked, &path)?;
        let stamp = Stamp::of(&file.metadata()?);
        if stamp.without_ctime() != before.without_ctime() {
            self.quarantine(&path)?;
            return Err(changed());
        }
        self.record_stamp(&path, stamp)?;
        self.clear_partial(linked)?;
        Ok(Blob { path, sha256: sha256.clone(), stamp })
    }

    /// The stamps to record of the files in a folder that were made from blobs, now that no more links will be made.
    pub(crate) fn stamps(&self, folder: &Path, blobs: &[(&RelativePath, Blob)]) -> Result<Vec<Stamp>> {
        if blobs.iter().any(|(_, blob)| blob.is_shared()) {
            settle();
        }
        let mut stamps = Vec::new();
        for (path, blob) in blobs {
            let place = folder.join(path);
            let stamp = Stamp::of(&fs_err::metadata(&place)?);
            let is_shared =
                blob.is_shared() && (stamp.dev, stamp.inode) == (blob.stamp.dev, blob.stamp.inode);
            if !is_shared {
                stamps.push(stamp.without_ctime());
                continue;
            }
            if stamp.without_ctime() != blob.stamp.without_ctime() {
                return Err(Error::Changed { path: place });
            }
            self.record_stamp(&blob.path, stamp)?;
            stamps.push(stamp);
        }
        Ok(stamps)
    }

    /// Removes the shared ones of some blobs, where no view has them, and returns how many bytes that freed: none where
    /// they are still somebody else's.
    pub(crate) fn remove_unused_shared<'a>(
        &self,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<u64> {
        let shared: Vec<_> = digests.into_iter().filter(|sha256| self.is_shared(sha256)).collect();
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
