//! Takes advisory locks, with a bounded wait.
//!
//! # Model
//! A lock is on a file that no process removes: otherwise two processes could hold two files of one name. The lock ends with
//! the last descriptor of that opening, and so with the process, however the process ends. A child that inherits the
//! descriptor keeps the lock.
//!
//! # Where locks fail or lie
//! Where a file system says that it has no locks, [`lock`] succeeds without one. Where a file system lies, no process can
//! tell. So a lock may save work, and never guards what must not be wrong: each writer under a lock writes a new file and
//! renames it. A caller that must not go on without a lock asks [`lock_trust`] first.

use std::{
    fs::{File, TryLockError},
    io::{self, Seek, Write},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::{fs::OFlags, io::Errno};

use crate::{
    error::{Error, Result, at},
    open::{create, open},
};

/// The longest pause between two tries for a lock that another process holds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Holds a lock until it is dropped.
#[derive(Debug)]
#[must_use = "the lock ends when it is dropped"]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Replaces the text of the locked file, for the processes that wait. The write is neither synced nor atomic.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&mut self, text: &[u8]) -> Result<()> {
        self.file.rewind()?;
        self.file.write_all(text)?;
        Ok(self.file.set_len(text.len() as u64)?)
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Takes the exclusive lock on a file, and creates a missing file. Blocks for as long as `wait`.
///
/// # Errors
/// [`Error::Busy`] when the wait is over; [`Error::NotOurs`]; [`Error::Io`].
pub fn lock(path: &Path, wait: Duration) -> Result<Lock> {
    acquire(path, create(path, OFlags::RDWR)?, File::try_lock, wait)
}

/// Takes the shared lock on a file, and creates a missing file. It opens the file for reading only: network file systems
/// want no more for a shared lock. Blocks for as long as `wait`.
///
/// # Errors
/// As [`lock`].
pub fn lock_shared(path: &Path, wait: Duration) -> Result<Lock> {
    acquire(path, create(path, OFlags::RDONLY)?, File::try_lock_shared, wait)
}

/// Does what [`lock`] does, on a file that it opens for reading only. Returns `None` where there is no file.
///
/// # Errors
/// As [`lock`].
pub fn lock_found(path: &Path, wait: Duration) -> Result<Option<Lock>> {
    let file = open(path, OFlags::RDONLY)?;
    file.map(|file| acquire(path, file, File::try_lock, wait)).transpose()
}

/// Does what [`lock_shared`] does, and creates no file. Returns `None` where there is no file.
///
/// # Errors
/// As [`lock`].
pub fn lock_shared_found(path: &Path, wait: Duration) -> Result<Option<Lock>> {
    let file = open(path, OFlags::RDONLY)?;
    file.map(|file| acquire(path, file, File::try_lock_shared, wait)).transpose()
}

fn acquire(
    path: &Path,
    file: File,
    try_lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    wait: Duration,
) -> Result<Lock> {
    // A wait so long that the clock cannot name its end has no deadline.
    let deadline = Instant::now().checked_add(wait);
    let mut pause = Duration::from_millis(1);
    loop {
        match try_lock(&file) {
            Ok(()) => return Ok(Lock { file }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(Lock { file }),
            Err(TryLockError::Error(error)) => return Err(at(path, "lock", &error)),
        }
        let left =
            deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Err(Error::Busy { path: path.to_owned() });
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LOOK_AGAIN);
    }
}

/// Returns whether the file system says that it has no locks.
fn has_no_locks(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    code.is_some_and(|code| [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS].contains(&code))
}

/// Says whether a lock in a folder excludes every other process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockTrust {
    /// A lock excludes every other process, as far as this process can tell.
    Honest,
    /// A lock may not exclude every other process, for this reason.
    Doubtful(String),
}

/// Tests whether a lock in a folder excludes every other process: by the kind of file system, and by trying. `probe` is the
/// path of a file in that folder that serves no other purpose.
///
/// # Errors
/// What keeps this process from making the test.
pub fn lock_trust(probe: &Path) -> Result<LockTrust> {
    let file = create(probe, OFlags::RDWR)?;
    if let Some(kind) = shared_kind(&file)? {
        return Ok(LockTrust::Doubtful(format!("locks on {kind} are not honoured by every client")));
    }
    let doubtful = |reason: &str| Ok(LockTrust::Doubtful(reason.to_owned()));
    match file.try_lock() {
        // Another process makes the test now.
        Err(TryLockError::WouldBlock) => return Ok(LockTrust::Honest),
        Err(TryLockError::Error(error)) => return doubtful(&format!("locks fail: {error}")),
        Ok(()) => {}
    }
    match create(probe, OFlags::RDWR)?.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(LockTrust::Honest),
        _ => doubtful("two could take one lock"),
    }
}

/// Returns the name of a file system that several machines may share, and `None` for a local one.
fn shared_kind(file: &File) -> Result<Option<&'static str>> {
    let kind = rustix::fs::fstatfs(file).map_err(io::Error::from)?.f_type;
    // From Linux, `include/uapi/linux/magic.h`, and from the file systems' own sources.
    let name = match u64::try_from(kind).unwrap_or_default() & 0xffff_ffff {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0bd0_0bd0 => "Lustre",
        0x00c3_6400 => "Ceph",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x0102_1997 => "9P",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x6573_5546 => "FUSE",
        0x786f_4256 => "a shared folder of a virtual machine",
        _ => return Ok(None),
    };
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let held = lock(&path, Duration::ZERO).unwrap();
        assert!(matches!(lock(&path, Duration::from_millis(5)), Err(Error::Busy { .. })));
        drop(held);
        drop(lock(&path, Duration::ZERO).unwrap());
    }

    #[test]
    fn those_who_share_keep_out_those_who_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lease");
        let first = lock_shared(&path, Duration::ZERO).unwrap();
        let second = lock_shared(&path, Duration::ZERO).unwrap();
        drop(first);
        assert!(matches!(lock(&path, Duration::ZERO), Err(Error::Busy { .. })));
        drop(second);
        let mut alone = lock(&path, Duration::ZERO).unwrap();
        assert!(matches!(lock_shared(&path, Duration::ZERO), Err(Error::Busy { .. })));
        alone.write(b"first").unwrap();
        alone.write(b"2nd").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"2nd");
    }

    #[test]
    fn a_local_file_system_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(lock_trust(&dir.path().join("probe")).unwrap(), LockTrust::Honest);
    }
}
