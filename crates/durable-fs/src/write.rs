//! Writes files: replaces them whole, and sets their times.

use std::{
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use rustix::fs::OFlags;

use crate::{
    error::{Error, Result, at, root_cause},
    folder::{create_folders, entries, folder_of, sync_folder},
    open::{NO_FILE, create},
};

/// The end of a temporary file's name.
const TEMPORARY: &str = ".tmp";

/// How many bytes of a file are in memory before they go out.
const BUFFER_BYTES: usize = 64 << 10;

/// The age at which a temporary file belongs to a dead writer. A live writer needs moments.
const ABANDONED: Duration = Duration::from_secs(600);

/// Makes `path` a file of these bytes, atomically and durably. It creates missing folders.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, a device, or anything else at `path` but a regular file; [`Error::Io`]. Then the old
/// file is still there, and no temporary file is left.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// Does what [`replace`] does with the bytes that `write` writes, which need not be in memory at once.
///
/// # Errors
/// As [`replace`]; what `write` returns.
pub fn replace_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let folder = folder_of(path);
    match fs_err::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(Error::NotOurs { path: path.to_owned(), reason: NO_FILE });
        }
        _ => {}
    }
    create_folders(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut temporary = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(TEMPORARY)
        // The umask decides who may read the file, as for any new file.
        .permissions(PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|error| at(path, "write", &root_cause(&error)))?;
    let failed = |error: io::Error| at(path, "write", &error);
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, temporary.as_file_mut());
    write(&mut buffered).and_then(|()| buffered.flush()).map_err(failed)?;
    drop(buffered);
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder)
}

/// Returns whether a path has a name as [`replace`] gives one to a file before the rename.
pub fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(TEMPORARY.as_bytes())
}

/// Removes the temporary files that dead processes left beside a file. A temporary file of the last ten minutes, by the
/// clock of the file system, may belong to a live process, and stays. One that this process cannot remove stays too.
pub fn sweep(path: &Path) {
    let modified = |path: &Path| fs_err::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(now) = modified(path) else { return };
    let prefix = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let is_of = |name: &str| {
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(TEMPORARY));
        random.is_some_and(|random| !random.is_empty() && !random.contains('.'))
    };
    for path in entries(folder_of(path)).unwrap_or_default() {
        let age = || modified(&path).and_then(|at| now.duration_since(at).ok());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_of(&name) && age().is_some_and(|age| age >= ABANDONED) {
            let _ = fs_err::remove_file(&path);
        }
    }
}

/// Checks that this process can append lines to a file. It creates a missing file, empty.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink and for anything but a regular file; [`Error::Io`].
pub fn check_appendable(path: &Path) -> Result<()> {
    create(path, OFlags::WRONLY | OFlags::APPEND).map(drop)
}

/// Sets a file's times to now. It creates a missing file, empty.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink and for anything but a regular file; [`Error::Io`].
pub fn touch(path: &Path) -> Result<()> {
    let file = create(path, OFlags::WRONLY)?;
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    rustix::fs::futimens(&file, &times).map_err(|error| at(path, "touch", &error.into()))?;
    Ok(())
}
