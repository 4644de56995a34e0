//! Opens files that are no symlinks, regular, and of a trusted user.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::error::{Error, Result, at};

/// The reason for which this crate refuses a pipe, a device or a folder.
pub(crate) const NO_FILE: &str = "it is no regular file";

/// Opens a file for reading and writing, and creates a missing file, empty.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for anything but a regular file, and for another user's file; [`Error::Io`].
pub fn open_own(path: &Path) -> Result<File> {
    create(path, OFlags::RDWR)
}

/// Opens a file for reading and for appending, and creates a missing file, empty.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for anything but a regular file, and for another user's file; [`Error::Io`].
pub fn open_append(path: &Path) -> Result<File> {
    create(path, OFlags::RDWR | OFlags::APPEND)
}

/// Opens a file for reading. Returns `None` where there is no file.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for anything but a regular file, and for another user's file; [`Error::Io`].
pub fn open_found(path: &Path) -> Result<Option<File>> {
    open(path, OFlags::RDONLY)
}

/// Returns whether this process trusts files of a user: it trusts its own user, and root.
pub fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Opens a regular file of a trusted user that is itself no symlink. Returns `None` where there is none.
pub(crate) fn open(path: &Path, flags: OFlags) -> Result<Option<File>> {
    match open_regular(path, flags)? {
        Some((_, metadata)) if !is_trusted(metadata.uid()) => {
            Err(Error::NotOurs { path: path.to_owned(), reason: "it belongs to another user" })
        }
        opened => Ok(opened.map(|(file, _)| file)),
    }
}

/// Opens a regular file of any user that is itself no symlink. Returns `None` where there is none.
pub(crate) fn open_regular(path: &Path, flags: OFlags) -> Result<Option<(File, Metadata)>> {
    // Without `NONBLOCK`, opening a planted pipe would block forever.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => return Err(Error::NotOurs { path: path.to_owned(), reason: "it is a symlink" }),
        Err(Errno::NXIO | Errno::ISDIR) => {
            return Err(Error::NotOurs { path: path.to_owned(), reason: NO_FILE });
        }
        Err(error) => return Err(at(path, "open", &error.into())),
    };
    let metadata = file.metadata().map_err(|error| at(path, "stat", &error))?;
    if !metadata.is_file() {
        return Err(Error::NotOurs { path: path.to_owned(), reason: NO_FILE });
    }
    Ok(Some((file, metadata)))
}

/// Opens a regular file of a trusted user, and creates it where the flags say so.
pub(crate) fn create(path: &Path, flags: OFlags) -> Result<File> {
    match open(path, flags | OFlags::CREATE)? {
        Some(file) => Ok(file),
        None => Err(at(path, "create", &io::ErrorKind::NotFound.into())),
    }
}
