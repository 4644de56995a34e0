//! Keeps the stamp of a blob: what `stat` said of its file when its bytes were verified.

use std::{
    io::{self, Write},
    path::Path,
};

use provisioner_core::{Digest, Stamp};

use crate::{
    error::Result,
    layout::{DISCARDED, Store, stamp_path},
};

/// The largest file of a stamp that this process reads, in bytes.
const MAX_STAMP_BYTES: u64 = 4096;

impl Store {
    /// Returns whether the store has recorded the blob of a SHA-256 as a link to another tool's file.
    pub fn is_externally_linked(&self, sha256: &Digest) -> bool {
        recorded_stamp(&self.blob_path(sha256)).is_some_and(|stamp| stamp.ctime_ns.is_some())
    }

    /// Returns whether the blob of a SHA-256 may be a link to another tool's file: the store has recorded it as one, or has
    /// no stamp of it.
    pub fn may_be_externally_linked(&self, sha256: &Digest) -> bool {
        recorded_stamp(&self.blob_path(sha256)).is_none_or(|stamp| stamp.ctime_ns.is_some())
    }

    /// Makes the store read a blob again before it believes it. The blob's stamp still says whether it is a link.
    pub(crate) fn distrust(&self, sha256: &Digest) {
        let path = self.blob_path(sha256);
        let Some(stamp) = recorded_stamp(&path) else { return };
        if let Err(error) = self.record_stamp(&path, of_no_file(stamp)) {
            tracing::debug!("a stamp is not forgotten: {error}");
        }
    }

    /// Records the stamp of a blob. The store replaces the file whole, and does not sync it: a lost stamp costs one reading.
    pub(crate) fn record_stamp(&self, blob: &Path, stamp: Stamp) -> Result<()> {
        let mut file = self.scrap()?;
        file.write_all(&serde_json::to_vec(&stamp).map_err(io::Error::from)?)?;
        match file.persist(stamp_path(blob)).map_err(|error| error.error) {
            // Another process swept the file as a dead one's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Makes a temporary file that the caller renames. When this process dies before, the next sweep removes it.
    pub(crate) fn scrap(&self) -> Result<tempfile::NamedTempFile> {
        durable_fs::create_folders(&self.partials())?;
        Ok(tempfile::Builder::new().prefix(DISCARDED).tempfile_in(self.partials())?)
    }
}

/// Returns whether no other tool has a blob's file, as far as its stamp says.
pub(crate) fn is_ours_alone(blob: &Path) -> bool {
    recorded_stamp(blob).is_some_and(|stamp| stamp.ctime_ns.is_none())
}

/// Returns the recorded stamp of a blob.
pub(crate) fn recorded_stamp(blob: &Path) -> Option<Stamp> {
    let bytes = durable_fs::read(&stamp_path(blob), MAX_STAMP_BYTES).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// Returns a stamp that no file has. It still says whether the blob is a link, and makes the next process hash the bytes.
pub(crate) fn of_no_file(stamp: Stamp) -> Stamp {
    Stamp { size: u64::MAX, inode: 0, ..stamp }
}
