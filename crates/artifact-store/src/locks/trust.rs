//! Tells whether locks in the store can be trusted.

use std::{path::Path, time::Duration};

use durable_fs::LockTrust;

use crate::{
    error::{Error, Result},
    layout::Store,
};

impl Store {
    /// Tests whether a lock in the store excludes every other process.
    pub(crate) fn lock_trust(&self) -> Result<LockTrust> {
        durable_fs::create_folders(&self.locks())?;
        Ok(durable_fs::lock_trust(&self.locks().join("probe"))?)
    }

    /// Checks that a lock excludes every other process. Otherwise this process cannot tell what is in use.
    ///
    /// # Errors
    /// [`Error::UntrustedLocks`](crate::Error::UntrustedLocks); [`Error::Io`](crate::Error::Io).
    pub fn check_locks(&self) -> Result<()> {
        match self.lock_trust()? {
            LockTrust::Honest => Ok(()),
            LockTrust::Doubtful(reason) => {
                Err(Error::UntrustedLocks { path: self.root().to_owned(), reason })
            }
        }
    }

    /// Returns whether a lock in the store excludes every other process.
    pub(crate) fn trusts_locks(&self) -> bool {
        self.lock_trust().is_ok_and(|trust| trust == LockTrust::Honest)
    }
}

/// Returns whether a process holds a lock. Creates nothing.
pub(crate) fn is_held(lock: &Path) -> bool {
    lock.exists() && matches!(durable_fs::lock(lock, Duration::ZERO), Err(durable_fs::Error::Busy { .. }))
}
