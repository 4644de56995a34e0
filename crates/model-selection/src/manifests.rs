//! Holds what a fetcher read of a repository's manifests.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use bytes::Bytes;
use provisioner_core::RelativePath;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

/// The largest number of bytes of a file that is read before the choice: of an index. That of a model of a thousand billion
/// parameters has 15 MB.
pub const MAX_MANIFEST_BYTES: u64 = 32 << 20;

/// The largest number of bytes of all files that are read before the choice.
pub const MAX_MANIFESTS_BYTES: u64 = 64 << 20;

/// The largest number of files that are read before the choice.
pub const MAX_MANIFESTS: usize = 48;

/// The largest number of bytes of a configuration that is read before the choice. As a tree of values it takes up to a hundred times
/// as many in memory.
pub(crate) const MAX_CONFIG_BYTES: u64 = 256 << 10;

/// The largest number of bytes of a tokenizer's configuration that is read before the choice: it may list each token.
pub(crate) const MAX_TOKENIZER_BYTES: u64 = 2 << 20;

/// Holds the bytes of the manifests that a fetcher read. One that is missing is allowed: then names decide.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    files: BTreeMap<RelativePath, Bytes>,
    /// The files whose bytes the fetcher cannot have.
    given_up: BTreeSet<RelativePath>,
}

impl Manifests {
    /// Adds the bytes of a file. [`Bytes`] stay shared with the caller.
    pub fn insert(&mut self, path: RelativePath, bytes: impl Into<Bytes>) {
        self.files.insert(path, bytes.into());
    }

    /// Notes that the fetcher cannot have the bytes of a file, so that it is not to be read any more.
    pub fn give_up(&mut self, path: RelativePath) {
        self.given_up.insert(path);
    }

    /// Returns whether the fetcher read a file, or gave it up.
    pub(crate) fn is_settled(&self, path: &RelativePath) -> bool {
        self.files.contains_key(path) || self.given_up.contains(path)
    }

    /// Returns the folders right below a folder of which a file was read, each with its slash.
    pub(crate) fn folders(&self, top: &str) -> BTreeSet<String> {
        let below = self.files.keys().filter_map(|path| path.as_str().strip_prefix(top)?.split_once('/'));
        below.map(|(first, _)| format!("{first}/")).collect()
    }

    /// Returns the bytes of a file as text. `None` where the fetcher did not read it, and where it is not UTF-8.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        let path = RelativePath::new(path).ok()?;
        std::str::from_utf8(self.files.get(&path)?).ok()
    }

    /// Returns the files that an index of weights names. `None` also where it is malformed.
    pub(crate) fn weight_files(&self, path: &str) -> Option<BTreeSet<String>> {
        let index: Index = serde_json::from_str(self.text(path)?).ok()?;
        Some(index.weight_map.0)
    }

    /// Returns a file as JSON. `None` also where it is malformed, and where it is larger than a configuration may be.
    pub(crate) fn json(&self, path: &str) -> Option<Value> {
        let text = self.text(path).filter(|text| text.len() as u64 <= MAX_CONFIG_BYTES)?;
        serde_json::from_str(text).ok()
    }
}

/// The part of an index that says which file has which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: FileNames,
}

/// Keeps the files of a map from tensors, each once: a large model has a hundred thousand tensors in a hundred files.
struct FileNames(BTreeSet<String>);

impl<'de> Deserialize<'de> for FileNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = FileNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("files by their tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FileNames, A::Error> {
                let mut names = BTreeSet::new();
                while map.next_key::<IgnoredAny>()?.is_some() {
                    let name: Cow<'de, str> = map.next_value()?;
                    if !names.contains(name.as_ref()) {
                        names.insert(name.into_owned());
                    }
                }
                Ok(FileNames(names))
            }
        }

        deserializer.deserialize_map(Values)
    }
}
