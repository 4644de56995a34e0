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
    of_folders.filter(|path| durable_fs::is_temporary(path)).collect()
}

fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns the paths in a folder; none where this process cannot read it.
fn paths(folder: &Path) -> Vec<PathBuf> {
    durable_fs::entries(folder).unwrap_or_default()
}
