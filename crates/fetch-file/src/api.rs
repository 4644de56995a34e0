//! Lists what the file system has in a folder.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provisioner_core::{FetchError, FetchErrorKind, RelativePath};

use crate::error::{failed, not_utf8};

/// Limits how many names a folder has: a folder with more is hardly a model.
const MAX_NAMES: usize = 100_000;

/// Limits how deep folders lie.
const MAX_DEPTH: usize = 64;

/// Returns the files below a folder, by relative path, in the order of the paths, with their sizes in bytes. It leaves out
/// names that begin with a dot, at every depth, and follows symlinks.
///
/// It blocks.
///
/// # Errors
/// A folder that cannot be listed; a name that is not a safe path; a symlink that leads nowhere or in a circle; something that
/// is neither a file nor a folder; more than 100,000 names, or more than 64 folders deep.
pub fn names(folder: &Path) -> Result<Vec<(RelativePath, u64)>, FetchError> {
    walk(folder, false)
}

/// Returns all files below a folder, also those whose names begin with a dot, but for git's own at the top. See [`names`].
///
/// # Errors
/// As [`names`].
pub fn all_names(folder: &Path) -> Result<Vec<(RelativePath, u64)>, FetchError> {
    walk(folder, true)
}

fn walk(folder: &Path, takes_hidden: bool) -> Result<Vec<(RelativePath, u64)>, FetchError> {
    let mut walk = Walk { takes_hidden, ..Walk::default() };
    walk.enter(folder, "")?;
    walk.found.sort_unstable();
    Ok(walk.found)
}

/// Walks through folders.
#[derive(Default)]
struct Walk {
    takes_hidden: bool,
    found: Vec<(RelativePath, u64)>,
    /// Device and inode of the folders that the walk is in.
    above: Vec<(u64, u64)>,
    /// How many names the walk has seen, of files and of folders.
    names: usize,
}

impl Walk {
    fn enter(&mut self, folder: &Path, prefix: &str) -> Result<(), FetchError> {
        let metadata = fs_err::metadata(folder).map_err(|error| failed(folder, error))?;
        let identity = (metadata.dev(), metadata.ino());
        if self.above.len() >= MAX_DEPTH {
            let message = format!("`{}` lies more than {MAX_DEPTH} folders deep", folder.display());
            return Err(FetchError::new(FetchErrorKind::NotAFile, message));
        }
        if self.above.contains(&identity) {
            let message = format!("`{}` leads back to a folder above it", folder.display());
            return Err(FetchError::new(FetchErrorKind::NotAFile, message));
        }
        self.above.push(identity);
        for entry in fs_err::read_dir(folder).map_err(|error| failed(folder, error))? {
            let entry = entry.map_err(|error| failed(folder, error))?;
            self.names += 1;
            if self.names > MAX_NAMES {
                let message = format!("more than {MAX_NAMES} names, up to `{}`", folder.display());
                return Err(FetchError::new(FetchErrorKind::NotAFile, message));
            }
            let path: PathBuf = entry.path();
            let name = entry.file_name();
            let is_git = prefix.is_empty() && name == ".git";
            if is_git || (!self.takes_hidden && name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            let name = name.to_str().ok_or_else(|| not_utf8(&path))?;
            let relative = format!("{prefix}{name}");
            let metadata = fs_err::metadata(&path).map_err(|error| failed(&path, error))?;
            if metadata.is_dir() {
                self.enter(&path, &format!("{relative}/"))?;
            } else if metadata.is_file() {
                let relative = RelativePath::new(relative)
                    .map_err(|error| FetchError::new(FetchErrorKind::UnsafePath, error.to_string()))?;
                self.found.push((relative, metadata.len()));
            } else {
                let message = format!("`{}` is neither a file nor a folder", path.display());
                return Err(FetchError::new(FetchErrorKind::NotAFile, message));
            }
        }
        self.above.pop();
        Ok(())
    }
}
