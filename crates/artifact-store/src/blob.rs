//! Verified bytes.

use std::{
    fs::{File, Metadata},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use provisioner_core::{Digest, Stamp};

use crate::{
    Result, Store,
    partial::{discard, unlink},
    reading::{self, Reading},
    shared::{of_no_file, read_again},
};

const MAX_STAMP_BYTES: u64 = 4096;

/// How far back a blob's modification time is set: past any file system's granularity.
const AGE: Duration = Duration::from_secs(60);

/// Bytes whose SHA-256 is their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Where they lie.
    pub path: PathBuf,
    /// Their SHA-256.
    pub sha256: Digest,
    /// What `stat` says of them, without the time that linking changes; with it, where they are shared.
    pub stamp: Stamp,
}

impl Blob {
    /// Whether the file is somebody else's too, who may write to it.
    pub fn is_externally_linked(&self) -> bool {
        self.stamp.ctime_ns.is_some()
    }
}

impl Store {
    /// The blob of a SHA-256, if the store has it and its bytes are still those. One without its recorded stamp is read
    /// again; one with other bytes is moved to the quarantine.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn blob(&self, sha256: &Digest) -> Result<Option<Blob>> {
        let path = self.blob_path(sha256);
        let Some(metadata) = look_at(&path)? else { return Ok(None) };
        let recorded = recorded_stamp(&path);
        // Where nobody knows any more whose the other links are, they may be somebody else's.
        let is_externally_linked = recorded.map_or(metadata.nlink() > 1, |stamp| stamp.ctime_ns.is_some());
        let kept = |stamp: Stamp| if is_externally_linked { stamp } else { stamp.without_ctime() };
        let mut stamp = kept(Stamp::of(&metadata));
        if recorded != Some(stamp) {
            let Some(mut file) = reading::open(&path)? else { return Ok(None) };
            let found = if is_externally_linked {
                read_again(&mut file, &mut |_| true)?
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

    /// Whether the blob of a SHA-256 is recorded as somebody else's too.
    pub fn is_externally_linked(&self, sha256: &Digest) -> bool {
        recorded_stamp(&self.blob_path(sha256)).is_some_and(|stamp| stamp.ctime_ns.is_some())
    }

    /// Whether the blob of a SHA-256 may be somebody else's too: it is recorded as that, or no stamp says whose it is.
    pub fn may_be_shared(&self, sha256: &Digest) -> bool {
        recorded_stamp(&self.blob_path(sha256)).is_none_or(|stamp| stamp.ctime_ns.is_some())
    }

    /// Makes a file whose bytes were verified the blob of its SHA-256, and returns it. The file is moved, unless the
    /// store has that blob already; then it is removed. The blob's folder is not synced yet.
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
                return Err(crate::Error::Vanished { path });
            }
            opened => opened?,
        };
        let metadata = file.metadata()?;
        file.set_modified(metadata.modified()? - AGE)?;
        file.sync_all()?;
        durable_fs::create_folders(path.parent().unwrap_or(&path))?;
        fs_err::rename(data, &path)?;
        // Not before: whoever dies in between leaves a partial that the next transfer can open.
        file.set_permissions(PermissionsExt::from_mode(0o444))?;
        let stamp = Stamp::of(&file.metadata()?).without_ctime();
        self.record_stamp(&path, stamp)?;
        self.clear_partial(data)?;
        Ok(Blob { path, sha256: sha256.clone(), stamp })
    }

    /// Makes sure that a blob is read again before it is believed. That it is shared is not forgotten.
    pub(crate) fn distrust(&self, sha256: &Digest) {
        let path = self.blob_path(sha256);
        let Some(stamp) = recorded_stamp(&path) else { return };
        if let Err(error) = self.record_stamp(&path, of_no_file(stamp)) {
            tracing::debug!("a stamp is not forgotten: {error}");
        }
    }

    /// Removes a staged file whose bytes the store has already: another process, or another file of the model, put them in.
    pub(crate) fn drop_staged(&self, staged: &Path) -> Result<()> {
        unlink(staged)?;
        self.clear_partial(staged)
    }

    /// Removes what is left of a partial whose data is a blob now.
    pub(crate) fn clear_partial(&self, data: &Path) -> Result<()> {
        match data.parent() {
            Some(folder) if folder.parent() == Some(&self.partials()) => discard(folder).map(drop),
            _ => Ok(()),
        }
    }

    /// Moves a blob whose bytes are wrong out of the way, and removes its stamp, which is of nothing then.
    pub(crate) fn quarantine_blob(&self, blob: &Path) -> Result<()> {
        self.quarantine(blob)?;
        unlink(&stamp_path(blob))
    }

    /// Removes a blob and its stamp. The store lock must be closed.
    pub(crate) fn remove_blob(blob: &Path) -> Result<()> {
        unlink(blob)?;
        unlink(&stamp_path(blob))
    }

    /// Put in place whole, and not synced: a stamp that is lost costs one reading.
    pub(crate) fn record_stamp(&self, blob: &Path, stamp: Stamp) -> Result<()> {
        let mut file = self.scrap()?;
        file.write_all(&serde_json::to_vec(&stamp).map_err(io::Error::from)?)?;
        match file.persist(stamp_path(blob)).map_err(|error| error.error) {
            // A sweep took it for a dead one's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }
}

pub(crate) fn stamp_path(blob: &Path) -> PathBuf {
    blob.with_extension("stamp")
}

/// Whether a blob is recorded as ours alone.
pub(crate) fn is_ours_alone(blob: &Path) -> bool {
    recorded_stamp(blob).is_some_and(|stamp| stamp.ctime_ns.is_none())
}

fn recorded_stamp(blob: &Path) -> Option<Stamp> {
    let bytes = durable_fs::read(&stamp_path(blob), MAX_STAMP_BYTES).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// What `stat` says of a regular file. `None` where there is none.
fn look_at(path: &Path) -> Result<Option<Metadata>> {
    match fs_err::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(_) => {
            Err(crate::Error::NotOurs(format!("refusing to use `{}`: it is no regular file", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads a file that is only ours. `None` where it changed meanwhile; a link to it is no change.
pub(crate) fn read_own(file: &mut File) -> Result<Option<Reading>> {
    let found = reading::read(file, false, None, &mut |_| true)?;
    Ok((found.before.without_ctime() == found.after.without_ctime()).then_some(found))
}

#[cfg(test)]
pub(crate) mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    pub(crate) fn sha256(bytes: &[u8]) -> Digest {
        Digest::sha256(Sha256::digest(bytes).into())
    }

    pub(crate) fn insert(store: &Store, bytes: &[u8]) -> Blob {
        durable_fs::create_folders(store.root()).unwrap();
        let data = store.root().join("data");
        fs_err::write(&data, bytes).unwrap();
        store.insert(&data, &sha256(bytes)).unwrap()
    }

    #[test]
    fn a_blob_is_read_only_old_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store-v1"));
        assert!(store.blob(&sha256(b"x")).unwrap().is_none());
        let blob = insert(&store, b"bytes");
        assert_eq!(store.blob(&sha256(b"bytes")).unwrap(), Some(blob.clone()));
        assert_eq!(fs_err::metadata(&blob.path).unwrap().permissions().mode() & 0o777, 0o444);
        assert_eq!(insert(&store, b"bytes"), blob, "it is held once");
    }

    #[test]
    fn what_a_commit_that_fails_leaves_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let (data, obstacle) = (dir.path().join("data"), dir.path().join("blobs"));
        fs_err::write(&data, "bytes").unwrap();
        std::os::unix::fs::symlink("nowhere", &obstacle).unwrap();
        store.insert(&data, &sha256(b"bytes")).unwrap_err();
        let mode = fs_err::metadata(&data).unwrap().permissions().mode();
        assert_eq!(mode & 0o200, 0o200, "{mode:o}");
        fs_err::remove_file(&obstacle).unwrap();
        store.insert(&data, &sha256(b"bytes")).unwrap();
    }

    #[test]
    fn a_blob_with_other_bytes_goes_to_the_quarantine() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let blob = insert(&store, b"bytes");
        fs_err::set_permissions(&blob.path, PermissionsExt::from_mode(0o644)).unwrap();
        fs_err::write(&blob.path, b"bytEs").unwrap();
        assert!(store.blob(&sha256(b"bytes")).unwrap().is_none());
        assert!(!blob.path.exists() && dir.path().join("quarantine").exists());
        assert!(!stamp_path(&blob.path).exists(), "nothing is left that a look would wonder at");
    }

    #[test]
    fn a_lost_stamp_costs_one_reading() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let blob = insert(&store, b"bytes");
        fs_err::remove_file(stamp_path(&blob.path)).unwrap();
        assert_eq!(store.blob(&sha256(b"bytes")).unwrap(), Some(blob.clone()));
        assert!(stamp_path(&blob.path).exists());
    }
}
