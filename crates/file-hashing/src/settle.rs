//! Takes stamps that every later write changes.

use std::{
    fs::File,
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use provisioner_core::Stamp;

use crate::{
    error::Result,
    read::{Contents, Watch, open, read},
};

/// The length of two ticks of the slowest kernel. A write one tick after another gives the file another time.
pub const TICKS: Duration = Duration::from_millis(20);

/// How often a process reads a file at the most that other processes keep changing or linking.
pub const MAX_READS: usize = 16;

/// Holds a stamp that may not have settled yet, and when it was taken. A write in the same tick leaves the stamp as it is.
#[derive(Clone, Copy, Debug)]
pub struct FreshStamp {
    stamp: Stamp,
    taken: Instant,
}

impl FreshStamp {
    /// Takes the stamp that an open file has now.
    ///
    /// # Errors
    /// What `fstat` says.
    pub fn of(file: &File) -> io::Result<Self> {
        let stamp = Stamp::of(&file.metadata()?);
        Ok(Self { stamp, taken: Instant::now() })
    }

    /// Takes the stamp that the file at a path has now. Returns `None` where there is no regular file.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        open(path)?.map(|file| Self::of(&file)).transpose()
    }

    /// Returns the stamp. A later write may leave it as it is.
    pub fn stamp(self) -> Stamp {
        self.stamp
    }

    /// Waits for the rest of two ticks, and returns the stamp if the file still has it. Then every later write changes it.
    fn settled(self, file: &File) -> io::Result<Option<Stamp>> {
        thread::sleep(TICKS.saturating_sub(self.taken.elapsed()));
        let now = Stamp::of(&file.metadata()?);
        Ok((now == self.stamp).then_some(now))
    }
}

/// Waits until the stamp of an open file has settled, and returns it. Returns `None` for a file that keeps changing.
///
/// # Errors
/// What `fstat` says.
pub fn settled_stamp(file: &File) -> io::Result<Option<Stamp>> {
    for _ in 0..MAX_READS {
        if let Some(stamp) = FreshStamp::of(file)?.settled(file)? {
            return Ok(Some(stamp));
        }
    }
    Ok(None)
}

/// Reads a file that another process may write to, until its whole stamp has settled before the first byte and is the same
/// after the last one. `fresh` is a stamp that the file had. Returns `None` for a file that keeps changing or getting links.
///
/// # Errors
/// As [`read`].
pub fn read_settled(
    file: &mut File,
    mut fresh: FreshStamp,
    git_ids: bool,
    watch: &mut Watch<'_>,
) -> Result<Option<Contents>> {
    for _ in 0..MAX_READS {
        if let Some(stamp) = fresh.settled(file)? {
            let found = read(file, git_ids, None, watch)?;
            if found.before == stamp && found.after == stamp {
                return Ok(Some(found));
            }
        }
        fresh = FreshStamp::of(file)?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_its_stamp_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs_err::write(&path, "bytes").unwrap();
        let began = Instant::now();
        let fresh = FreshStamp::at(&path).unwrap().unwrap();
        let mut file = open(&path).unwrap().unwrap();
        let mut read_bytes = 0;
        let mut watch = |bytes| {
            read_bytes += bytes;
            true
        };
        let found = read_settled(&mut file, fresh, true, &mut watch).unwrap().unwrap();
        assert!(began.elapsed() >= TICKS, "{:?}", began.elapsed());
        assert_eq!((found.before, read_bytes), (found.after, 5));
        assert_eq!(crate::read::git_id(&path, Some(&found.sha256)).unwrap(), found.git_sha1);
        let stopped = read_settled(&mut file, fresh, false, &mut |_| false);
        assert!(matches!(stopped, Err(crate::error::Error::Cancelled)));
    }

    #[test]
    fn only_a_regular_file_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        for name in ["link", "absent", "."] {
            assert!(open(&dir.path().join(name)).unwrap().is_none(), "{name}");
        }
    }
}
