//! Holds what a source lists: names and sizes.

use std::{collections::BTreeMap, ops::Bound};

use provisioner_core::RelativePath;

/// Holds the files of a repository, by the names that the source lists. A name that no file of this machine can have, such as
/// `nul` or `../x`, is noted all the same: it decides nothing, unless the choice would take it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    files: BTreeMap<Box<str>, Listed>,
}

/// Describes one listed file.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The path. `None` where the name is not a safe one.
    pub(crate) path: Option<RelativePath>,
    /// The size, in bytes.
    pub(crate) size: u64,
}

impl Listing {
    /// Notes a file. Returns whether the name is new; a name that is listed twice keeps what was noted first.
    pub fn add(&mut self, name: &str, size: u64) -> bool {
        if self.files.contains_key(name) {
            return false;
        }
        let path = RelativePath::new(name).ok();
        self.files.insert(name.into(), Listed { path, size });
        true
    }

    /// Returns the number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether no file is listed.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the size of a file, in bytes. `None` where the source does not list it.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.files.get(name).map(|file| file.size)
    }

    /// Returns a file by its name.
    pub(crate) fn get(&self, name: &str) -> Option<&Listed> {
        self.files.get(name)
    }

    /// Returns the files below a folder, which ends in a slash, in the order of their names; all for an empty text.
    pub(crate) fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &Listed)> {
        let from = (Bound::Included(folder), Bound::Unbounded);
        let files = self.files.range::<str, _>(from).map(|(name, file)| (name.as_ref(), file));
        let folder = folder.to_owned();
        files.take_while(move |(name, _)| name.starts_with(&folder))
    }

    /// Returns the files in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Listed)> {
        self.files.iter().map(|(name, file)| (name.as_ref(), file))
    }
}

impl<N: AsRef<str>> FromIterator<(N, u64)> for Listing {
    fn from_iter<I: IntoIterator<Item = (N, u64)>>(files: I) -> Self {
        let mut listing = Self::default();
        for (name, size) in files {
            listing.add(name.as_ref(), size);
        }
        listing
    }
}
