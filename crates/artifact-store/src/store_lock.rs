//! The store lock: nothing is taken away from the store while something is put into it.
//!
//! # Model
//! Whoever commits a model shares the lock on `locks/gate`, from the first look at a blob until the model's record is
//! written. Whoever takes something away has it alone, from the last look until the files are gone. So no blob goes
//! between the look that finds it and the link that keeps it, and no view goes that a new record is about to name.
//!
//! A download does not share the store lock, for it may last for hours. A blob that it has found may be gone when it
//! commits; then the commit says so with [`Error::Vanished`](crate::Error::Vanished), and the model is brought anew.
//!
//! # Where locks lie
//! Then nothing is taken away at all.

use std::time::Duration;

use crate::{Error, Result, Store};

/// How long a commit waits for one who takes something away, who does nothing but remove files.
pub const STORE_LOCK_WAIT: Duration = Duration::from_secs(600);

/// The store lock, held until it is dropped.
#[derive(Debug)]
#[must_use = "the store lock is let go of when it is dropped"]
pub struct StoreLock {
    _lock: durable_fs::Lock,
}

impl Store {
    /// Keeps everybody from taking something away, until it is dropped. Others may put something in all the same.
    ///
    /// # Errors
    /// [`Error::Busy`] where somebody takes things away for longer than `wait`; [`Error::Io`].
    pub fn lock_shared(&self, wait: Duration) -> Result<StoreLock> {
        durable_fs::create_folders(&self.locks())?;
        match durable_fs::lock_shared(&self.gate_path(), wait) {
            Ok(lock) => Ok(StoreLock { _lock: lock }),
            Err(durable_fs::Error::Busy { .. }) => {
                Err(Error::Busy("models are being taken away from the store all the time".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps everybody from putting something in and from taking something away, until it is dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] where others put something in for longer than `wait`; [`Error::Doubtful`] where locks are not to
    /// be trusted; [`Error::Io`].
    pub fn lock_exclusive(&self, wait: Duration) -> Result<StoreLock> {
        self.check_locks()?;
        match durable_fs::lock(&self.gate_path(), wait) {
            Ok(lock) => Ok(StoreLock { _lock: lock }),
            Err(durable_fs::Error::Busy { .. }) => {
                Err(Error::Busy("models are being put into the store by other processes".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn gate_path(&self) -> std::path::PathBuf {
        self.locks().join("gate")
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
