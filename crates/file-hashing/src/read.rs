//! Reads and hashes, in the one loop of the workspace.

use std::{
    borrow::Borrow,
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
};

use provisioner_core::{ContentDigests, ContentHasher, Digest, Stamp};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::error::{Error, Result};

/// The size of the buffer in bytes: large enough that reading costs nothing beside hashing, small enough for the processor's
/// cache.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// Receives how many more bytes the loop has read, and returns whether to go on.
pub type Watch<'a> = dyn FnMut(u64) -> bool + 'a;

/// Holds what one reading of a file found.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The SHA-256 of the bytes.
    pub sha256: Digest,
    /// Git's id of the bytes, where the caller asked for it.
    pub git_sha1: Option<Digest>,
    /// The stamp before the first byte. It differs from `after` where another process wrote to the file, or linked it.
    pub before: Stamp,
    /// The stamp after the last byte.
    pub after: Stamp,
}

/// A file between its first byte and its last. The caller gives each byte that it reads to the hasher.
pub(crate) struct Reading<F> {
    file: F,
    pub(crate) hasher: ContentHasher,
    before: Stamp,
    /// How many bytes the file had and are not read; `None` behind those that a growing file has more.
    left: Option<u64>,
}

impl<F: Borrow<File>> Reading<F> {
    /// Takes the stamp before the first byte.
    pub(crate) fn begin(file: F, git_ids: bool) -> io::Result<Self> {
        let mut opened = file.borrow();
        opened.rewind()?;
        // Another process can write again, without a new time, to a mapped page that has not reached the disk yet.
        let _ = opened.sync_data();
        let before = Stamp::of(&opened.metadata()?);
        let hasher = ContentHasher::of_size(before.size, git_ids);
        Ok(Self { file, hasher, before, left: Some(before.size) })
    }

    /// Reads the next bytes, and returns how many: 0 after the last one.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A file that grows has changed, and may never end.
        let Some(left) = self.left else { return Ok(0) };
        loop {
            match self.file.borrow().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.left = left.checked_sub(read as u64);
                    return Ok(read);
                }
            }
        }
    }

    /// Takes the stamp after the last byte.
    pub(crate) fn finish(self) -> io::Result<Contents> {
        let after = Stamp::of(&self.file.borrow().metadata()?);
        let ContentDigests { sha256, git_sha1 } = self.hasher.finish();
        Ok(Contents { sha256, git_sha1, before: self.before, after })
    }
}

/// Opens a regular file of any user. Returns `None` where there is none, and for a symlink, a pipe or a folder.
///
/// # Errors
/// What the operating system says.
pub fn open(path: &Path) -> io::Result<Option<File>> {
    // Without `NONBLOCK`, opening a pipe would block forever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Reads a file from its beginning, and writes what it reads to `copy` where there is one. It reads a growing file a little
/// past its first size, and no further: then `before` and `after` differ.
///
/// # Errors
/// [`Error::Io`]; [`Error::Cancelled`] when `watch` returns `false`.
pub fn read(
    file: &mut File,
    git_ids: bool,
    mut copy: Option<&mut File>,
    watch: &mut Watch<'_>,
) -> Result<Contents> {
    let (mut reading, mut buffer) = (Reading::begin(file, git_ids)?, vec![0; BUFFER_BYTES]);
    loop {
        let read = reading.fill(&mut buffer)?;
        if read == 0 {
            return Ok(reading.finish()?);
        }
        reading.hasher.update(&buffer[..read]);
        if let Some(copy) = &mut copy {
            copy.write_all(&buffer[..read])?;
        }
        if !watch(read as u64) {
            return Err(Error::Cancelled);
        }
    }
}

/// Reads a file that no other program writes to. Returns `None` where the file changed meanwhile. A new link is not a change.
///
/// # Errors
/// [`Error::Io`].
pub fn read_own(file: &mut File) -> Result<Option<Contents>> {
    let found = read(file, false, None, &mut |_| true)?;
    Ok((found.before.without_ctime() == found.after.without_ctime()).then_some(found))
}

/// Returns git's id of a file's bytes. Returns `None` where there is no file or its bytes have another SHA-256. It reads the
/// whole file, and blocks for as long as that takes.
///
/// # Errors
/// [`Error::Io`].
pub fn git_id(path: &Path, sha256: Option<&Digest>) -> Result<Option<Digest>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let found = read(&mut file, true, None, &mut |_| true)?;
    Ok(found.git_sha1.filter(|_| sha256 == Some(&found.sha256)))
}
