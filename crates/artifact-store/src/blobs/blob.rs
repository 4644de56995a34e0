//! Puts verified bytes into the store, and checks them later.

use std::{
    collections::BTreeSet,
    fs::{File, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use file_hashing::{FreshStamp, open, read_own, read_settled};
use provisioner_core::{Digest, Stamp};

use crate::{
    blobs::stamp::recorded_stamp,
    error::{Error, Result},
    files::{discard, unlink},
    layout::{Store, stamp_path},
};

/// How far back the store sets a blob's modification time: past any file system's granularity.
const AGE: Duration = Duration::from_secs(60);

/// Describes bytes whose SHA-256 is their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The path at which the bytes lie.
    pub path: PathBuf,
    /// The SHA-256 of the bytes.
    pub sha256: Digest,
    /// The stamp of the file, without the time that a link changes; with that time, where the file is a link to another
    /// tool's file.
    pub stamp: Stamp,
}

impl Blob {
    /// Returns whether another tool has a link to the file, and may write to it.
    pub fn is_externally_linked(&self) -> bool {
        self.stamp.ctime_ns.is_some()
    }
}

impl Store {
    /// Returns the blob of a SHA-256, if the store has it and its bytes are still those. The store reads a blob without its
    /// recorded stamp again, and moves a blob with other bytes to the quarantine.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn blob(&self, sha256: &Digest) -> Result<Option<Blob>> {
        let path = self.blob_path(sha256);
        let Some(metadata) = look_at(&path)? else { return Ok(None) };
        let recorded = recorded_stamp(&path);
        // Without a recorded stamp, another tool may have the other links.
        let is_externally_linked = recorded.map_or(metadata.nlink() > 1, |stamp| stamp.ctime_ns.is_some());
        let kept = |stamp: Stamp| if is_externally_linked { stamp } else { stamp.without_ctime() };
        let mut stamp = kept(Stamp::of(&metadata));
        if recorded != Some(stamp) {
            let Some(mut file) = open(&path)? else { return Ok(None) };
            let found = if is_externally_linked {
                let fresh = FreshStamp::of(&file)?;
                read_settled(&mut file, fresh, false, &mut |_| true)?
            } else {
                read_own(&mut file)?
            };
            let Some(found) = found.filter(|found| found.sha256 == *sha256) else {
                self.quarantine_blob(&path)?;
                return Ok(None);
            };
            stamp = kept(found.after);
            self.record_stamp(&path, stamp)?;
        }
        Ok(Some(Blob { path, sha256: sha256.clone(), stamp }))
    }

    /// Creates the folders of the blobs of these SHA-256. One sync makes the names of all of them durable.
    pub(crate) fn create_blob_folders<'a>(&self, digests: impl Iterator<Item = &'a Digest>) -> Result<()> {
        let folders: BTreeSet<_> = digests.map(|sha256| sha256.hex()[..2].to_owned()).collect();
        Ok(durable_fs::create_folders_in(&self.blobs(), folders.iter().map(Path::new))?)
    }

    /// Makes a file whose bytes were verified the blob of its SHA-256, and returns the blob. The store moves the file, or
    /// removes it where it has that blob already. It does not sync the blob's folder yet.
    pub(crate) fn insert(&self, data: &Path, sha256: &Digest) -> Result<Blob> {
        if let Some(blob) = self.blob(sha256)? {
            if data != blob.path {
                self.drop_staged(data)?;
            }
            return Ok(blob);
        }
        look_at(data)?;
        let path = self.blob_path(sha256);
        let file = match File::options().read(true).write(true).open(data) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && data == path => {
                return Err(Error::Vanished { path });
            }
            opened => opened?,
        };
        let metadata = file.metadata()?;
        file.set_modified(metadata.modified()? - AGE)?;
        file.sync_all()?;
        durable_fs::create_folders(path.parent().unwrap_or(&path))?;
        fs_err::rename(data, &path)?;
        // Not before: a process that dies in between leaves a partial that the next transfer can open.
        file.set_permissions(PermissionsExt::from_mode(0o444))?;
        let stamp = Stamp::of(&file.metadata()?).without_ctime();
        self.record_stamp(&path, stamp)?;
        self.clear_partial(data)?;
        Ok(Blob { path, sha256: sha256.clone(), stamp })
    }

    /// Removes a staged file whose bytes the store has already, from another process or another file of the model.
    pub(crate) fn drop_staged(&self, staged: &Path) -> Result<()> {
        unlink(staged)?;
        self.clear_partial(staged)
    }

    /// Removes the rest of a partial whose data is a blob now.
    pub(crate) fn clear_partial(&self, data: &Path) -> Result<()> {
        match data.parent() {
            Some(folder) if folder.parent() == Some(&self.partials()) => discard(folder).map(drop),
            _ => Ok(()),
        }
    }

    /// Moves a blob with wrong bytes to the quarantine, and removes its stamp.
    pub(crate) fn quarantine_blob(&self, blob: &Path) -> Result<()> {
        self.quarantine(blob)?;
        unlink(&stamp_path(blob))
    }

    /// Removes a blob and its stamp. The caller holds the exclusive store lock.
    pub(crate) fn remove_blob(blob: &Path) -> Result<()> {
        unlink(blob)?;
        unlink(&stamp_path(blob))
    }
}

/// Returns what `stat` says of a regular file. Returns `None` where there is no file.
pub(crate) fn look_at(path: &Path) -> Result<Option<Metadata>> {
    match fs_err::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(_) => Err(Error::NotOurs(format!("refusing to use `{}`: it is no regular file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
