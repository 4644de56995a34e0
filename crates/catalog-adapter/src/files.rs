//! Lists the files in a catalog's folder: all of them, and the temporary ones.

use std::path::{Path, PathBuf};

/// Returns a folder with all folders below it and the files in them, each folder before what it holds. A folder that cannot be
/// read has nothing in it, and a symlink is not followed.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut at) = (vec![folder.to_owned()], 0);
    while let Some(next) = found.get(at).cloned() {
        if at == 0 || is_folder(&next) {
            found.extend(paths(&next));
        }
        at += 1;
    }
    found
}

/// Returns the temporary files of the folders in a catalog's folder, in the order of their paths. A symlink is not followed.
pub(crate) fn temporary(root: &Path) -> Vec<PathBuf> {
    let folders = paths(root).into_iter().filter(|path| is_folder(path));
    let of_folders = folders.flat_map(|folder| paths(&folder));
    of_folders.filter(|path| is_temporary(path)).collect()
}

/// Returns whether a file has the name that `durable_fs::replace` gives a file before the rename.
fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".tmp")
}

fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let read = fs_err::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    paths
}
