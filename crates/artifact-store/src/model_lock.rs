//! One process at a time makes a model present; the others wait for it, and see how far it is.
//!
//! # Model
//! The model lock is the lock on `locks/<key>`, in which its owner says who it is. Whoever waits looks at the lock several times
//! a second, so it takes over at once when the owner dies; it reads who that is, and how far its partials are. It waits for
//! as long as the owner gets on, and no longer than it was told to.
//!
//! # Where locks lie
//! Every process gets the lock at once. Then a model is fetched several times, and every one of them is whole.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use provisioner_core::{Timestamp, key_of};

use crate::{
    Claim, Error, ProcessIdentity, Result, Store, partial_file::arrived_bytes, partial_meta::PartialMeta,
    space::is_held,
};

/// How often a waiter looks how far the owner is.
const LOOK: Duration = Duration::from_millis(250);

/// How long the name of a model lock is: a SHA-256 in hex. Other locks beside it have other names.
const KEY_LEN: usize = 64;

/// The lock under which one process makes a model present, until it is dropped.
#[derive(Debug)]
#[must_use = "another process gets the lock when it is dropped"]
pub struct ModelLock {
    _lock: durable_fs::Lock,
}

/// How long to wait for the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// In all; `None` for as long as the owner gets on.
    pub limit: Option<Duration>,
    /// While the owner does not get on.
    pub stall: Duration,
}

/// What a waiter sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whose lock it is, as far as it says.
    pub owner: Option<ProcessIdentity>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How many bytes are here.
    pub done_bytes: u64,
    /// Of how many, as far as they are asked for already.
    pub size_bytes: u64,
}

impl Store {
    /// Waits for the lock under which a model is made present. `watch` is told now and then for whom, and says whether to go on waiting.
    ///
    /// # Errors
    /// [`Error::Busy`] when the wait is over, or nobody wants it any more; [`Error::Io`].
    pub fn model_lock(
        &self,
        id: &str,
        wait: LockWait,
        watch: &mut dyn FnMut(&Waiting) -> bool,
    ) -> Result<ModelLock> {
        durable_fs::create_folders(&self.locks())?;
        let path = self.locks().join(key_of(id));
        let began = Instant::now();
        let mut seen: Option<(Waiting, Instant)> = None;
        loop {
            let slice = wait.limit.map_or(LOOK, |limit| limit.saturating_sub(began.elapsed()).min(LOOK));
            match durable_fs::lock(&path, slice) {
                Ok(mut lock) => {
                    lock.write(&ProcessIdentity::this().to_json())?;
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

    /// Whether a live process is making a model present.
    pub fn is_being_made(&self, id: &str) -> bool {
        self.brought(id).is_some()
    }

    /// The claim of whoever is making a model present; `None` where nobody is.
    pub(crate) fn brought(&self, id: &str) -> Option<Claim> {
        let path = self.locks().join(key_of(id));
        is_held(&path).then(|| Claim::Brought(ProcessIdentity::read(&path)))
    }

    /// Makes sure that no live process is making a model present.
    ///
    /// # Errors
    /// [`Error::Busy`], with the process and how far it is.
    pub fn check_idle(&self, id: &str) -> Result<()> {
        let path = self.locks().join(key_of(id));
        if is_held(&path) { Err(Error::Busy(self.waiting(&path).told(id))) } else { Ok(()) }
    }

    /// Whether a live process is making any model present.
    pub(crate) fn has_model_lock(&self) -> Result<bool> {
        let entries = match fs_err::read_dir(self.locks()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().len() == KEY_LEN && is_held(&entry.path()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn waiting(&self, lock: &Path) -> Waiting {
        let key = lock.file_name().unwrap_or_default().to_string_lossy();
        let partials = self.partial_folders().unwrap_or_default();
        let theirs = partials.iter().filter_map(|folder| {
            let about = PartialMeta::read(folder).filter(|about| about.model == key)?;
            Some((arrived_bytes(folder).min(about.size_bytes), about.size_bytes))
        });
        let (done_bytes, size_bytes) = theirs
            .fold((0, 0), |sum: (u64, u64), one| (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1)));
        let metadata = fs_err::symlink_metadata(lock).ok();
        Waiting {
            owner: ProcessIdentity::read(lock),
            since: metadata.and_then(|metadata| crate::used::modified(&metadata)),
            done_bytes,
            size_bytes,
        }
    }
}

impl Waiting {
    /// What is going on, as a fragment.
    pub fn told(&self, id: &str) -> String {
        let owner = self.owner.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string);
        let since = self.since.map(|since| format!(" since {since}")).unwrap_or_default();
        let far = format!("{} of {} bytes are here", self.done_bytes, self.size_bytes);
        format!("`{id}` is being made present by {owner}{since}; {far}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResumableTransfers;

    const PATIENT: LockWait = LockWait { limit: None, stall: Duration::from_secs(60) };

    #[test]
    fn a_waiter_sees_the_owner_and_follows_at_once() {
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
        assert_eq!(look.owner.as_ref().map(|owner| owner.pid), Some(std::process::id()));
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
