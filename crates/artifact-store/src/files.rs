//! Asks `stat` about files, and removes them.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use durable_fs::entries;
use provisioner_core::Timestamp;

use crate::{error::Result, layout::DISCARDED};

/// Returns what `stat` says of a path. Returns `None` where there is no file.
pub(crate) fn look(path: &Path) -> Result<Option<Metadata>> {
    match fs_err::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether a file name begins with a prefix.
pub(crate) fn is_named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

/// Returns whether a path is a folder, and not a symlink to one.
pub(crate) fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns whether a path is a file that a transfer may have made: a regular file without another name.
pub(crate) fn is_own_file(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1)
}

/// Returns how many bytes a file takes of the disk.
pub(crate) fn allocated(metadata: &Metadata) -> u64 {
    metadata.blocks() * 512
}

/// Returns how many bytes the file at a path takes of the disk. Returns 0 where there is no file.
pub(crate) fn allocated_bytes(path: &Path) -> u64 {
    fs_err::symlink_metadata(path).map_or(0, |metadata| allocated(&metadata))
}

/// Returns how many bytes the file system of a folder has free for this user.
///
/// # Errors
/// What the operating system says.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Returns when a file was last modified.
pub(crate) fn modified(metadata: &Metadata) -> Option<Timestamp> {
    Timestamp::new(metadata.mtime(), i32::try_from(metadata.mtime_nsec()).ok()?).ok()
}

/// Returns when a path, or an entry of that folder, was last modified.
pub(crate) fn last_change(path: &Path) -> Option<Timestamp> {
    let below = entries(path).unwrap_or_default();
    let all = below.iter().map(PathBuf::as_path).chain([path]);
    all.filter_map(|path| fs_err::symlink_metadata(path).ok())
        .filter_map(|metadata| modified(&metadata))
        .max()
}

/// Removes a file. A missing file is not an error.
pub(crate) fn unlink(path: &Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}

/// Removes a file, or a folder and all in it. Returns whether there was one: another process may have removed it.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) } {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// Removes a partial, and returns whether there was one. It renames the partial first, so that no process takes a half of one
/// for a whole.
pub(crate) fn discard(folder: &Path) -> Result<bool> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let gone = folder.with_file_name(format!("{DISCARDED}{}", name.trim_start_matches(DISCARDED)));
    let renamed = if gone == folder { Ok(()) } else { fs_err::rename(folder, &gone) };
    match renamed.and_then(|()| remove(&gone)) {
        // Another process removes the folder too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // NFS and FUSE keep an open file, here the lock, under another name. The next sweep removes the rest.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(true),
        done => Ok(done?),
    }
}
