//! Finds files in plain folders.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The largest number of names that the walk looks at, in all plain folders together.
const MAX_NAMES: usize = 100_000;

/// How deep a folder may lie below the one that the caller names.
const MAX_DEPTH: usize = 16;

/// Lists the endings of the names of files that another tool has not finished.
const UNFINISHED: [&str; 7] =
    [".incomplete", ".partial", "-partial", ".part", ".tmp", ".downloadInProgress", ".parallel_tmp"];

/// Describes a file that the walk found.
#[derive(Debug)]
pub(crate) struct PlainFile {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) device: u64,
}

/// Walks through plain folders.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    /// The caller's own folder, which holds nothing to adopt.
    own: &'a Path,
    names: usize,
    found: Vec<PlainFile>,
}

impl<'a> Walk<'a> {
    /// Finds the files in some folders and below them.
    pub(crate) fn through(folders: &[PathBuf], own: &'a Path) -> Vec<PlainFile> {
        let mut walk = Walk { own, names: 0, found: Vec::new() };
        for folder in folders {
            walk.enter(folder, 0);
        }
        walk.found
    }

    fn enter(&mut self, folder: &Path, depth: usize) {
        if depth > MAX_DEPTH || folder == self.own {
            return;
        }
        for path in entries(folder) {
            self.names += 1;
            if self.names == MAX_NAMES {
                tracing::warn!("looked at the first {MAX_NAMES} names only, up to `{}`", path.display());
            }
            if self.names >= MAX_NAMES || is_passed_over(&path) {
                continue;
            }
            match fs_err::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.enter(&path, depth + 1),
                Ok(metadata) if metadata.is_file() => {
                    self.found.push(PlainFile { size_bytes: metadata.len(), device: metadata.dev(), path });
                }
                _ => {}
            }
        }
    }
}

/// Returns whether a name says that the file is hidden, or not finished.
fn is_passed_over(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || UNFINISHED.iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// Returns the paths in a folder, sorted. A folder that is not there, or that cannot be read, has none, and the log says so.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    durable_fs::list(folder).unwrap_or_else(|error| {
        tracing::debug!("nothing to adopt: {error}");
        Vec::new()
    })
}
