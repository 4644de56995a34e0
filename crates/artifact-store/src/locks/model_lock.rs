//! Lets one process at a time make a model present. The other processes wait, and see how far it is.
//!
//! # Model
//! The lock is on `locks/<key>`, in which the holder says who it is. A waiter tries the lock several times a second, so it
//! goes on at once when the holder dies. It reads who that is, and how far its partials are. It waits for as long as the
//! holder gets on, and no longer than its caller said.
//!
//! # Where locks lie
//! Every process gets the lock at once. Then several processes fetch the model, and each of its copies is whole.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use durable_fs::{ProcessIdentity, paths_in};
use provisioner_core::Timestamp;

use crate::{
    error::{Error, Result},
    files::modified,
    layout::Store,
    locks::{
        process::{read_process, this_process},
        trust::is_held,
    },
    staging::{partial_file::arrived_bytes, partial_meta::PartialMeta},
};

/// How often a waiter checks how far the holder is.
const LOOK: Duration = Duration::from_millis(250);

/// The length of the name of a model lock: a SHA-256 in hex. The names of the other locks beside it are shorter.
const KEY_LEN: usize = 64;

/// Holds the lock under which one process makes a model present, until it is dropped.
#[derive(Debug)]
#[must_use = "another process gets the lock when it is dropped"]
pub struct ModelLock {
    _lock: durable_fs::Lock,
}

/// Says how long a waiter waits for a model lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// The longest wait in all. `None` waits for as long as the holder gets on.
    pub limit: Option<Duration>,
    /// The longest wait while the holder does not get on.
    pub stall: Duration,
}

/// Says what a waiter sees of the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The process that has the lock, where the lock file names it.
    pub holder: Option<ProcessIdentity>,
    /// When the holder took the lock.
    pub since: Option<Timestamp>,
    /// How many bytes of the model have arrived.
    pub done_bytes: u64,
    /// How many bytes the holder has asked for so far.
    pub size_bytes: u64,
}

impl Store {
    /// Waits for the lock under which one process makes a model present. `watch` receives now and then what the holder does,
    /// and returns whether to go on waiting.
    ///
    /// # Errors
    /// [`Error::Busy`] when the wait is over, or `watch` returns `false`; [`Error::Io`].
    pub fn model_lock(
        &self,
        id: &str,
        wait: LockWait,
        watch: &mut dyn FnMut(&Waiting) -> bool,
    ) -> Result<ModelLock> {
        durable_fs::create_folders(&self.locks())?;
        let path = self.model_lock_path(id);
        let began = Instant::now();
        let mut seen: Option<(Waiting, Instant)> = None;
        loop {
            let slice = wait.limit.map_or(LOOK, |limit| limit.saturating_sub(began.elapsed()).min(LOOK));
            match durable_fs::lock(&path, slice) {
                Ok(mut lock) => {
                    lock.write(&this_process())?;
                    return Ok(ModelLock { _lock: lock });
                }
                Err(durable_fs::Error::Busy { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let now = self.waiting(&path);
            let moved_at = match &seen {
                Some((before, moved_at)) if *before == now => *moved_at,
                _ => Instant::now(),
            };
            let goes_on = watch(&now);
            let is_over = wait.limit.is_some_and(|limit| began.elapsed() >= limit);
            let is_stalled = moved_at.elapsed() >= wait.stall;
            if is_over || is_stalled || !goes_on {
                let stalled = format!(", and nothing moved for {} seconds", wait.stall.as_secs());
                return Err(Error::Busy(now.told(id) + if is_stalled { &stalled } else { "" }));
            }
            seen = Some((now, moved_at));
        }
    }

    /// Returns whether a live process makes a model present.
    pub fn is_being_staged(&self, id: &str) -> bool {
        is_held(&self.model_lock_path(id))
    }

    /// Returns the process that took the lock of a model last, where the lock file names it.
    pub(crate) fn model_lock_holder(&self, id: &str) -> Option<ProcessIdentity> {
        read_process(&self.model_lock_path(id))
    }

    /// Checks that no live process makes a model present.
    ///
    /// # Errors
    /// [`Error::Busy`], with the holder and how far it is.
    pub fn check_idle(&self, id: &str) -> Result<()> {
        let path = self.model_lock_path(id);
        if is_held(&path) { Err(Error::Busy(self.waiting(&path).told(id))) } else { Ok(()) }
    }

    /// Returns whether a live process makes any model present.
    pub(crate) fn has_model_lock(&self) -> Result<bool> {
        let is_model_lock = |path: &Path| path.file_name().is_some_and(|name| name.len() == KEY_LEN);
        for path in paths_in(&self.locks())? {
            let path = path?;
            if is_model_lock(&path) && is_held(&path) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn waiting(&self, lock: &Path) -> Waiting {
        let key = lock.file_name().unwrap_or_default().to_string_lossy();
        let partials = self.partial_folders().unwrap_or_default();
        let theirs = partials.iter().filter_map(|folder| {
            let meta = PartialMeta::read(folder).filter(|meta| meta.model == key)?;
            Some((arrived_bytes(folder).min(meta.size_bytes), meta.size_bytes))
        });
        let (done_bytes, size_bytes) = theirs
            .fold((0, 0), |sum: (u64, u64), one| (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1)));
        let metadata = fs_err::symlink_metadata(lock).ok();
        Waiting {
            holder: read_process(lock),
            since: metadata.and_then(|metadata| modified(&metadata)),
            done_bytes,
            size_bytes,
        }
    }
}

impl Waiting {
    /// Returns what the holder does, as a fragment.
    pub fn told(&self, id: &str) -> String {
        let holder = self.holder.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string);
        let since = self.since.map(|since| format!(" since {since}")).unwrap_or_default();
        let far = format!("{} of {} bytes are here", self.done_bytes, self.size_bytes);
        format!("`{id}` is being made present by {holder}{since}; {far}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::resumable::ResumableTransfers;

    const PATIENT: LockWait = LockWait { limit: None, stall: Duration::from_secs(60) };

    #[test]
    fn a_waiter_sees_the_holder_and_follows_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let first = store.model_lock("hf:org/repo", PATIENT, &mut |_| true).unwrap();
        let partial = store.partial("file", 10_000, "hf:org/repo", &ResumableTransfers::default()).unwrap();
        let _other = store.partial("file", 10_000, "hf:org/other", &ResumableTransfers::default()).unwrap();
        fs_err::write(partial.file().data, [7; 5000]).unwrap();
        let (mut first, mut looks) = (Some(first), Vec::new());
        let mut watch = |waiting: &Waiting| {
            looks.push(waiting.clone());
            first = None;
            true
        };
        let _second = store.model_lock("hf:org/repo", PATIENT, &mut watch).unwrap();
        let [look] = looks.as_slice() else { panic!("one look was enough: {looks:?}") };
        assert_eq!(look.holder.as_ref().map(|holder| holder.pid), Some(std::process::id()));
        assert_eq!((look.size_bytes, look.done_bytes), (10_000, 8192), "in blocks of the disk");
    }

    #[test]
    fn a_wait_ends_when_it_is_told_to_or_nothing_moves_or_nobody_cares() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let _held = store.model_lock("id", PATIENT, &mut |_| true).unwrap();
        let check = |wait: LockWait, goes_on: bool| {
            let error = store.model_lock("id", wait, &mut |_| goes_on).unwrap_err().to_string();
            assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
            error.contains("nothing moved")
        };
        let short = Duration::from_millis(10);
        assert!(!check(LockWait { limit: Some(short), ..PATIENT }, true));
        assert!(check(LockWait { stall: Duration::ZERO, ..PATIENT }, true));
        assert!(!check(PATIENT, false));
    }
}
