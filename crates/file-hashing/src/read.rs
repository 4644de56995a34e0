//! Reads and hashes, in the one loop of the workspace.

use std::{
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
const BUFFER_BYTES: usize = 256 * 1024;

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
    file.rewind()?;
    // Another process can write again, without a new time, to a mapped page that has not reached the disk yet.
    let _ = file.sync_data();
    let before = Stamp::of(&file.metadata()?);
    let mut hasher = ContentHasher::of_size(before.size, git_ids);
    let (mut buffer, mut left) = (vec![0; BUFFER_BYTES], before.size);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let bytes = &buffer[..read];
        hasher.update(bytes);
        if let Some(copy) = &mut copy {
            copy.write_all(bytes)?;
        }
        if !watch(read as u64) {
            return Err(Error::Cancelled);
        }
        // A file that grows has changed, and may never end.
        let Some(rest) = left.checked_sub(read as u64) else { break };
        left = rest;
    }
    let ContentDigests { sha256, git_sha1 } = hasher.finish();
    Ok(Contents { sha256, git_sha1, before, after: Stamp::of(&file.metadata()?) })
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
