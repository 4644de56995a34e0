//! Takes a view with wrong bytes out of use.

use std::path::Path;

use provisioner_core::CatalogRecord;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::{
    error::{Error, Result},
    layout::Store,
    locks::store_lock::StoreLock,
};

impl Store {
    /// Takes the view of a record with wrong bytes out of use, under the exclusive store lock, and makes the store read each
    /// of its blobs again before it believes it. Returns whether it did: a view that a live process uses stays where it is.
    ///
    /// # Errors
    /// The failures of the disk.
    pub fn invalidate(&self, _lock: &StoreLock, record: &CatalogRecord) -> Result<bool> {
        let root = record.root();
        if !self.holds(root) {
            return Ok(false);
        }
        for file in record.files.iter() {
            if let Some(sha256) = &file.sha256 {
                let is_externally_linked = file.stamp.ctime_ns.is_some() || self.is_externally_linked(sha256);
                self.distrust(sha256);
                // A wrong blob loses its name, for a name means verified.
                if self.blob(sha256)?.is_none() && !is_externally_linked {
                    distrust_links(&root.join(&file.path));
                }
            }
        }
        match self.block_leases(root, &record.id) {
            Err(Error::Leased { .. }) => return Ok(false),
            blocked => {
                let _blocked = blocked?;
                if root.exists() {
                    self.quarantine(root)?;
                }
            }
        }
        Ok(true)
    }
}

/// Gives a file of the store another time, so that each view with a link to it is read before an engine uses it.
fn distrust_links(path: &Path) {
    let of = |nanoseconds| Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    let now = Timestamps { last_access: of(UTIME_OMIT), last_modification: of(UTIME_NOW) };
    let touched = fs_err::File::open(path).and_then(|file| Ok(rustix::fs::futimens(file, &now)?));
    if let Err(error) = touched {
        tracing::warn!("what else has the bytes of `{}` is not warned: {error}", path.display());
    }
}
