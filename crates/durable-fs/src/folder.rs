//! Creates folders, lists them, and makes the names in them durable.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::error::Result;

/// Returns the paths in a folder, sorted. A path that is not a folder, or that is gone, has none.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match list(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        listed => Ok(listed?),
    }
}

/// Returns the paths in a folder one at a time, in no order: a folder may have more than fit into memory with ease. A path that
/// is not a folder, or that is gone, has none.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), for the folder and for each path.
pub fn paths_in(folder: &Path) -> Result<impl Iterator<Item = Result<PathBuf>>> {
    let read = match fs_err::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        read => Some(read?),
    };
    Ok(read.into_iter().flatten().map(|entry| Ok(entry?.path())))
}

/// Returns the paths in a folder that must be there, sorted.
///
/// # Errors
/// What the disk says, also where nothing is at the path, or no folder.
pub fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = fs_err::read_dir(folder)?;
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// Removes a file and makes that durable.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn remove(path: &Path) -> Result<()> {
    fs_err::remove_file(path)?;
    sync_folder(folder_of(path))
}

/// Moves a file to another name on the same file system and makes that durable.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs_err::rename(from, to)?;
    sync_folder(folder_of(to))?;
    if folder_of(from) != folder_of(to) {
        sync_folder(folder_of(from))?;
    }
    Ok(())
}

/// Creates a folder, and the folders above it, where they are missing, durably.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn create_folders(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    create_folders(above)?;
    if create_missing(folder)? { sync_folder(above) } else { Ok(()) }
}

/// Creates folders in one folder, where they are missing, durably. One sync makes all of their names durable.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn create_folders_in<'a>(above: &Path, folders: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    create_folders(above)?;
    let mut is_new = false;
    for folder in folders {
        is_new |= create_missing(&above.join(folder))?;
    }
    if is_new { sync_folder(above) } else { Ok(()) }
}

/// Creates a folder where it is missing, and returns whether it was. Its name is not durable yet.
fn create_missing(folder: &Path) -> Result<bool> {
    match fs_err::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        created => Ok(created.map(|()| true)?),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs_err::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Returns the folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
