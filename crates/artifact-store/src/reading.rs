//! Reading a file to its end, from one descriptor, and noticing whether another process wrote meanwhile.
//!
//! # A digest and its stamp
//! The digest of a file that others may write to is worth something only with a stamp that every later write must change.
//! Kernels keep a file's times in ticks, and a write in the tick of the stamp leaves the stamp as it is. So a stamp counts
//! once it has settled: two ticks later the file still has it. Then the bytes are read; and they count when the stamp, its
//! `ctime` included, is still the same behind them. Neither needs a clock that agrees with that of the file system.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use provisioner_core::{ContentDigests, ContentHasher, Digest, Format, Stamp};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{Error, Result};

const BUFFER_BYTES: usize = 256 * 1024;

/// Two of the slowest kernel's ticks: a write one tick after another has another time.
const TICKS: Duration = Duration::from_millis(20);

/// How often a file is looked at or read again that others change or link meanwhile.
const MAX_READINGS: usize = 16;

/// Is told how many bytes more were read, and says whether to go on.
pub type Watch<'a> = dyn FnMut(u64) -> bool + 'a;

/// What was read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) sha256: Digest,
    /// Where it was asked for.
    pub(crate) git_sha1: Option<Digest>,
    /// What the file was before, and after, it was read. The two differ where somebody wrote, or linked it.
    pub(crate) before: Stamp,
    pub(crate) after: Stamp,
    /// Its first bytes, which tell its format.
    pub(crate) first: Vec<u8>,
}

/// Opens a regular file, whoever's it is. `None` for what is not there, and for a symlink, a pipe or a folder.
pub(crate) fn open(path: &Path) -> Result<Option<File>> {
    // Without `NONBLOCK`, opening a pipe would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(io::Error::from(error).into()),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// A stamp that a write in the same tick may have left as it is, and when it was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshStamp {
    stamp: Stamp,
    taken: Instant,
}

impl FreshStamp {
    /// The stamp that an open file has now.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let stamp = Stamp::of(&file.metadata()?);
        Ok(Self { stamp, taken: Instant::now() })
    }

    /// The stamp that the file at a path has now. `None` where there is no regular file.
    pub(crate) fn at(path: &Path) -> Result<Option<Self>> {
        Ok(open(path)?.map(|file| Self::of(&file)).transpose()?)
    }

    /// The stamp, which may be one that a later write leaves as it is.
    pub(crate) fn stamp(self) -> Stamp {
        self.stamp
    }

    /// Waits for what is left of two ticks, and returns the stamp if the file still has it: every later write changes it.
    fn settled(self, file: &File) -> io::Result<Option<Stamp>> {
        thread::sleep(TICKS.saturating_sub(self.taken.elapsed()));
        let now = Stamp::of(&file.metadata()?);
        Ok((now == self.stamp).then_some(now))
    }
}

/// The stamp of an open file, once it has settled: every later write changes it. `None` for a file that changes all the time.
///
/// # Errors
/// What `fstat` says.
pub fn settled_stamp(file: &File) -> io::Result<Option<Stamp>> {
    for _ in 0..MAX_READINGS {
        if let Some(stamp) = FreshStamp::of(file)?.settled(file)? {
            return Ok(Some(stamp));
        }
    }
    Ok(None)
}

/// Reads a file that others may write to, until its whole stamp has settled before the first byte and is the same after the
/// last one. `fresh` is a stamp that it had. `None` for a file that changes, or is linked, all the time.
pub(crate) fn read_settled(
    file: &mut File,
    mut fresh: FreshStamp,
    git_ids: bool,
    watch: &mut Watch<'_>,
) -> Result<Option<Reading>> {
    for _ in 0..MAX_READINGS {
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

/// Git's id of a file's bytes; `None` where there is none, or its bytes have another SHA-256. It may block for long.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn git_id(path: &Path, sha256: Option<&Digest>) -> Result<Option<Digest>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let found = read(&mut file, true, None, &mut |_| true)?;
    Ok(found.git_sha1.filter(|_| sha256 == Some(&found.sha256)))
}

/// Reads a file from its beginning, and writes what it reads to `copy` where there is one.
pub(crate) fn read(
    file: &mut File,
    git_ids: bool,
    mut copy: Option<&mut File>,
    watch: &mut Watch<'_>,
) -> Result<Reading> {
    file.rewind()?;
    // A page that a mapping wrote to before it reached the disk can be written again without a new time.
    let _ = file.sync_data();
    let before = Stamp::of(&file.metadata()?);
    let mut hasher = ContentHasher::of_size(before.size, git_ids);
    let (mut first, mut buffer, mut left) = (Vec::new(), vec![0; BUFFER_BYTES], before.size);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let inode = &buffer[..read];
        if first.is_empty() {
            first = inode[..read.min(Format::MAGIC_LEN)].to_vec();
        }
        hasher.update(inode);
        if let Some(copy) = &mut copy {
            copy.write_all(inode)?;
        }
        if !watch(read as u64) {
            return Err(Error::GivenUp);
        }
        // A file that grows has changed, and might never end.
        let Some(rest) = left.checked_sub(read as u64) else { break };
        left = rest;
    }
    let ContentDigests { sha256, git_sha1 } = hasher.finish();
    Ok(Reading { sha256, git_sha1, before, after: Stamp::of(&file.metadata()?), first })
}
