//! Where the files of a partial lie.
//!
//! A partial of one file has `data` and `journal`, or, of somebody else's, `linked`; one of small files has `small/<key>`,
//! `small/<key>.journal`, `small/<key>.linked` of each.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provisioner_core::RelativePath;

use crate::{
    Result,
    partial::{key_of_partial, remove, unlink},
    scan::entries,
    space::{allocated, allocated_bytes},
};

pub(crate) const DATA: &str = "data";
pub(crate) const JOURNAL: &str = "journal";
/// The folder of small files.
pub(crate) const SMALL: &str = "small";
/// The name of a link to a file that is somebody else's too, or the end of one.
const LINKED: &str = "linked";

/// The place of one file in a partial.
#[derive(Clone, Debug)]
pub struct PartialFile {
    /// Where the bytes go.
    pub data: PathBuf,
    /// Where it is noted which bytes are there.
    pub journal: PathBuf,
    /// Where a link to somebody else's file goes.
    pub(crate) linked: PathBuf,
}

impl PartialFile {
    /// The place of a partial's only file.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { data: folder.join(DATA), journal: folder.join(JOURNAL), linked: folder.join(LINKED) }
    }

    /// The place of one of its small files. The same bytes may be wanted in several places, and arrive there at once.
    pub(crate) fn small(folder: &Path, identity: &str, path: &RelativePath) -> Self {
        let data = folder.join(SMALL).join(key_of_partial(&format!("{identity} {path}")));
        Self { journal: data.with_extension(JOURNAL), linked: data.with_extension(LINKED), data }
    }

    /// Removes what no transfer can have made there.
    pub(crate) fn clear_foreign(&self) -> Result<()> {
        for path in [&self.data, &self.journal] {
            if fs_err::symlink_metadata(path).is_ok() && !is_own_file(path) {
                remove(path)?;
            }
        }
        if is_folder(&self.linked) {
            remove(&self.linked)?;
        }
        Ok(())
    }

    /// Removes what is there.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn clear(&self) -> Result<()> {
        [&self.data, &self.journal, &self.linked].into_iter().try_for_each(|path| unlink(path))
    }
}

/// Whether a staged file is somebody else's too.
pub(crate) fn is_linked(path: &Path) -> bool {
    [path.file_name(), path.extension()].into_iter().flatten().any(|name| name == LINKED)
}

/// Whether a partial has anything of a small file that a transfer could go on from: a copy of somebody's has no journal.
pub(crate) fn has_small(folder: &Path) -> bool {
    let is_begun =
        |(path, file): &(PathBuf, Metadata)| file.len() > 0 && path.with_extension(JOURNAL).exists();
    small_files(folder).iter().any(is_begun)
}

/// A partial's small files, and what `stat` says of them.
fn small_files(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let small = folder.join(SMALL);
    if !is_folder(&small) {
        return Vec::new();
    }
    let paths = entries(&small).unwrap_or_default();
    let data = paths.into_iter().filter(|path| path.extension().is_none());
    data.filter_map(|path| fs_err::symlink_metadata(&path).ok().map(|metadata| (path, metadata))).collect()
}

/// Whether there is a folder, and no symlink to one.
pub(crate) fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether there is a file that a transfer may have made: what is no file, or has another name too, it did not.
pub(crate) fn is_own_file(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1)
}

/// How much of a partial's files is on the disk. Of small ones the blocks would say more than there is to come.
pub(crate) fn arrived_bytes(folder: &Path) -> u64 {
    let own = allocated_bytes(&folder.join(DATA));
    let small = small_files(folder);
    small.iter().fold(own, |sum, (_, file)| sum.saturating_add(allocated(file).min(file.len())))
}
