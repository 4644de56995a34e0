//! Keeps processes from removing from the store while another one commits to it.
//!
//! # Model
//! A process that commits a model shares the lock on `locks/gate`, from the first look at a blob until the model's record is
//! written. A process that removes has the lock alone, from the last look until the files are gone. So no blob goes between
//! the look that finds it and the link that keeps it, and no view goes that a new record is about to name.
//!
//! A download does not share the store lock, for it may last for hours. Another process may evict a blob that the download
//! has found. Then the commit returns [`Error::Vanished`](crate::Error::Vanished), and the caller stages the model again.
//!
//! # Where locks lie
//! No process removes anything there.

use std::time::Duration;

use crate::{
    error::{Error, Result},
    layout::Store,
};

/// How long a commit waits for a process that removes. A removal lasts as long as unlinking the files.
pub const STORE_LOCK_WAIT: Duration = Duration::from_secs(600);

/// Holds the store lock until it is dropped.
#[derive(Debug)]
#[must_use = "the store lock ends when it is dropped"]
pub struct StoreLock {
    _lock: durable_fs::Lock,
}

impl Store {
    /// Keeps other processes from removing, until the lock is dropped. They may commit all the same.
    ///
    /// # Errors
    /// [`Error::Busy`] where other processes are still removing after `wait`; [`Error::Io`].
    pub fn lock_shared(&self, wait: Duration) -> Result<StoreLock> {
        durable_fs::create_folders(&self.locks())?;
        match durable_fs::lock_shared(&self.store_lock_path(), wait) {
            Ok(lock) => Ok(StoreLock { _lock: lock }),
            Err(durable_fs::Error::Busy { .. }) => {
                Err(Error::Busy("other processes keep removing models from the store".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps other processes from committing and from removing, until the lock is dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] where other processes are still committing after `wait`; [`Error::UntrustedLocks`]; [`Error::Io`].
    pub fn lock_exclusive(&self, wait: Duration) -> Result<StoreLock> {
        self.check_locks()?;
        match durable_fs::lock(&self.store_lock_path(), wait) {
            Ok(lock) => Ok(StoreLock { _lock: lock }),
            Err(durable_fs::Error::Busy { .. }) => {
                Err(Error::Busy("other processes keep committing models to the store".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_put_in_and_one_takes_away() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store-v1"));
        let first = store.lock_shared(Duration::ZERO).unwrap();
        let second = store.lock_shared(Duration::ZERO).unwrap();
        drop(first);
        assert!(matches!(store.lock_exclusive(Duration::ZERO), Err(Error::Busy(_))));
        drop(second);
        let alone = store.lock_exclusive(Duration::ZERO).unwrap();
        assert!(matches!(store.lock_exclusive(Duration::ZERO), Err(Error::Busy(_))));
        drop(alone);
        drop(store.lock_shared(Duration::ZERO).unwrap());
    }
}
