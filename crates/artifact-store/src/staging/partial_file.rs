//! Names the files in a partial.
//!
//! A partial of one file has `data` and `journal`, or, where it is another tool's file, `linked`. A partial of small files
//! has `small/<key>`, `small/<key>.journal` and `small/<key>.linked` of each.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
};

use durable_fs::{entries, paths_in, usage_below};
use provisioner_core::{RelativePath, key_of};

use crate::{
    error::Result,
    files::{allocated, allocated_bytes, is_folder, is_own_file, remove, unlink},
    layout::{DATA, JOURNAL, LINKED, SCRATCH, SMALL},
};

/// Holds the paths of one file in a partial.
#[derive(Clone, Debug)]
pub struct PartialFile {
    /// The path to which the transfer writes the bytes.
    pub data: PathBuf,
    /// The path of the journal, in which the transfer notes which bytes have arrived.
    pub journal: PathBuf,
    /// The path of a link to another tool's file.
    pub(crate) linked: PathBuf,
}

impl PartialFile {
    /// Returns the paths of a partial's only file.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { data: folder.join(DATA), journal: folder.join(JOURNAL), linked: folder.join(LINKED) }
    }

    /// Returns the paths of one of a partial's small files. Two files of a model may have the same bytes, and arrive at once.
    pub(crate) fn small(folder: &Path, identity: &str, path: &RelativePath) -> Self {
        let data = folder.join(SMALL).join(key_of_partial(&format!("{identity} {path}")));
        Self { journal: data.with_extension(JOURNAL), linked: data.with_extension(LINKED), data }
    }

    /// Removes all files of these paths.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn clear(&self) -> Result<()> {
        [&self.data, &self.journal, &self.linked].into_iter().try_for_each(|path| unlink(path))
    }
}

/// Removes whatever lies in a folder of small files and cannot be the work of a transfer. A link to another tool's file stays.
pub(crate) fn clear_foreign(small: &Path) -> Result<()> {
    for path in paths_in(small)? {
        let path = path?;
        let is_ours = if is_linked(&path) { !is_folder(&path) } else { is_own_file(&path) };
        if !is_ours {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Returns whether a staged file is a link to another tool's file.
pub(crate) fn is_linked(path: &Path) -> bool {
    [path.file_name(), path.extension()].into_iter().flatten().any(|name| name == LINKED)
}

/// Returns whether a transfer can resume a small file of a partial. A copy of another tool's file has no journal.
pub(crate) fn has_small(folder: &Path) -> bool {
    let is_begun =
        |(path, file): &(PathBuf, Metadata)| file.len() > 0 && path.with_extension(JOURNAL).exists();
    small_files(folder).iter().any(is_begun)
}

/// Returns a partial's small files, with what `stat` says of each.
fn small_files(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let small = folder.join(SMALL);
    if !is_folder(&small) {
        return Vec::new();
    }
    let paths = entries(&small).unwrap_or_default();
    let data = paths.into_iter().filter(|path| path.extension().is_none());
    data.filter_map(|path| fs_err::symlink_metadata(&path).ok().map(|metadata| (path, metadata))).collect()
}

/// Returns how many bytes of a partial's files are on the disk. The blocks of a small file are more than its bytes.
pub(crate) fn arrived_bytes(folder: &Path) -> u64 {
    let own = allocated_bytes(&folder.join(DATA)).saturating_add(usage_below(&folder.join(SCRATCH)).bytes);
    let small = small_files(folder);
    small.iter().fold(own, |sum, (_, file)| sum.saturating_add(allocated(file).min(file.len())))
}

/// Returns the key of what identifies the content of a partial.
pub(crate) fn key_of_partial(identity: &str) -> String {
    key_of(identity)[..32].to_owned()
}
