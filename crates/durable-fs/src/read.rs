//! Reads whole files, up to a limit.

use std::{fs::File, io::Read, path::Path};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, Result, at},
    open::{NO_FILE, open, open_regular},
};

/// Reads a file of at most `limit` bytes that is itself no symlink. Returns `None` where there is no such file.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for anything but a regular file, and for a file over the limit; [`Error::Io`].
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path, OFlags::RDONLY)? else { return Ok(None) };
    read_to_limit(file, path, limit, "it is larger than anything we write")
}

/// Reads a file of at most `limit` bytes that another program wrote, as any user. Returns `None` where there is no such
/// file.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for anything but a regular file, and for a file over the limit; [`Error::Io`].
pub fn read_foreign(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some((file, _)) = open_regular(path, OFlags::RDONLY)? else { return Ok(None) };
    read_to_limit(file, path, limit, "it is too large")
}

fn read_to_limit(file: File, path: &Path, limit: u64, reason: &'static str) -> Result<Option<Vec<u8>>> {
    let size = file.metadata().map_or(0, |metadata| metadata.len()).min(limit);
    // With room for one byte more, the end shows without another allocation.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default().saturating_add(1));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| at(path, "read", &error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::NotOurs { path: path.to_owned(), reason });
    }
    Ok(Some(bytes))
}

/// Reads a regular file of at most `limit` bytes that a person names. The file may be of any user, and the path may be a
/// symlink.
///
/// # Errors
/// [`Error::NotOurs`] for a pipe, a device or a folder, and for a file over the limit; [`Error::Io`], also where there is no
/// such file.
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let refused = |reason| Error::NotOurs { path: path.to_owned(), reason };
    // Without `NONBLOCK`, opening a pipe would block until a process writes to it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NXIO) => return Err(refused(NO_FILE)),
        Err(error) => return Err(Error::Io(error.into())),
    };
    if !file.metadata()?.is_file() {
        return Err(refused(NO_FILE));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit_bytes: limit });
    }
    Ok(bytes)
}
