//! Finds what unfinished transfers left, for the next ones to resume.

use std::{collections::HashMap, path::PathBuf};

use durable_fs::{entries, usage_below};
use provisioner_core::RelativePath;

use crate::{
    error::Result,
    files::{allocated_bytes, is_named},
    layout::{SCRATCH, Store},
    staging::partial_file::{PartialFile, key_of_partial},
};

/// Holds what unfinished transfers left, by one look.
#[derive(Debug, Default)]
pub struct ResumableTransfers {
    /// Whether a free lock proves that its process is dead.
    pub(crate) trusts_locks: bool,
    /// The folders of partials, by their keys.
    pub(crate) folders: HashMap<String, Vec<PathBuf>>,
}

impl Store {
    /// Looks at what unfinished transfers left.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn resumable(&self) -> Result<ResumableTransfers> {
        let folders = self.partial_folders()?;
        let trusts_locks = !folders.is_empty() && self.trusts_locks();
        let mut resumable = ResumableTransfers { trusts_locks, ..ResumableTransfers::default() };
        for folder in folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let key = name.split('.').next().unwrap_or_default().to_owned();
            resumable.folders.entry(key).or_default().push(folder);
        }
        Ok(resumable)
    }

    /// Returns the folders of partials that are whole.
    pub(crate) fn partial_folders(&self) -> Result<Vec<PathBuf>> {
        Ok(entries(&self.partials())?.into_iter().filter(|folder| !is_named(folder, ".")).collect())
    }
}

impl ResumableTransfers {
    /// Returns whether transfers left small files of a model.
    pub fn has_small(&self, model: &str) -> bool {
        self.folders.contains_key(&key_of_partial(&identity_of_small(model)))
    }

    /// Returns the folders of unfinished transfers of a file, by what identifies its content.
    pub fn folders_of(&self, identity: &str) -> &[PathBuf] {
        self.folders.get(&key_of_partial(identity)).map_or(&[], Vec::as_slice)
    }

    /// Returns the folders in which a program of a source downloaded for a model, with how many bytes of the disk they take.
    pub fn scratch_of(&self, model: &str) -> (&[PathBuf], u64) {
        let folders = self.folders_of(&identity_of_scratch(model));
        let bytes = folders.iter().map(|folder| usage_below(&folder.join(SCRATCH)).bytes);
        (folders, bytes.max().unwrap_or(0))
    }

    /// Returns how many bytes of a file are on the disk already, for the next transfer to resume. Returns `None` where no
    /// transfer of the file left anything.
    pub fn bytes_of(&self, model: &str, identity: &str, path: &RelativePath) -> Option<u64> {
        let of = |identity: &str| self.folders_of(identity).iter();
        let own = of(identity).map(|folder| PartialFile::of(folder).data);
        let small =
            of(&identity_of_small(model)).map(|folder| PartialFile::small(folder, identity, path).data);
        own.chain(small.filter(|data| data.exists())).map(|data| allocated_bytes(&data)).max()
    }
}

/// Returns what identifies the content of the scratch folder of a model.
pub(crate) fn identity_of_scratch(model: &str) -> String {
    format!("scratch of {model}")
}

/// Returns what identifies the content of the small files of a model.
pub(crate) fn identity_of_small(model: &str) -> String {
    format!("small files of {model}")
}
