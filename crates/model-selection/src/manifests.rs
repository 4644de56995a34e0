//! Says which small files of a repository tell what it is, and holds what a fetcher read of them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use bytes::Bytes;
use provisioner_core::{RelativePath, reference::RepoTarget};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::{
    listing::Listing,
    names::{ending, split},
};

/// The largest number of bytes of a file that is read before the choice: of an index. That of a model of a thousand billion
/// parameters has 15 MB.
pub const MAX_MANIFEST_BYTES: u64 = 32 << 20;

/// The largest number of bytes of all files that are read before the choice.
pub const MAX_MANIFESTS_BYTES: u64 = 64 << 20;

/// The largest number of files that are read before the choice.
pub const MAX_MANIFESTS: usize = 48;

/// The largest number of bytes of a configuration that is read before the choice. As a tree of values it takes up to a hundred times
/// as many in memory.
const MAX_CONFIG_BYTES: u64 = 256 << 10;

/// The largest number of bytes of a tokenizer's configuration that is read before the choice: it may list each token.
const MAX_TOKENIZER_BYTES: u64 = 2 << 20;

/// The largest number of bytes of a program that is read before the choice.
const MAX_CODE_BYTES: u64 = 256 << 10;

/// The names of the files that say which layout a repository has, the most telling first.
const TELLING: [&str; 4] = ["model_index.json", "modules.json", "router_config.json", "genai_config.json"];

/// The names of the configurations that say what a model is, and may name classes of the repository's own, the most telling
/// first.
pub(crate) const NAMING_CODE: [&str; 7] = [
    "adapter_config.json",
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "image_processor_config.json",
];

/// Holds the bytes of the manifests that a fetcher read. One that is missing is allowed: then names decide.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    files: BTreeMap<RelativePath, Bytes>,
}

impl Manifests {
    /// Adds the bytes of a file. [`Bytes`] stay shared with the caller.
    pub fn insert(&mut self, path: RelativePath, bytes: impl Into<Bytes>) {
        self.files.insert(path, bytes.into());
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

    /// Returns a file as JSON; of one that is larger than a configuration may be, its `auto_map` alone. `None` also where it is
    /// malformed.
    pub(crate) fn json(&self, path: &str) -> Option<Value> {
        let text = self.text(path)?;
        if text.len() as u64 <= MAX_CONFIG_BYTES {
            return serde_json::from_str(text).ok();
        }
        let large: Large = serde_json::from_str(text).ok()?;
        serde_json::to_value(large).ok()
    }
}

/// The part of a large configuration that names programs. A tree of all its values would take too much memory.
#[derive(Deserialize, Serialize)]
struct Large {
    auto_map: BTreeMap<String, Classes>,
}

/// The classes that a configuration names for one purpose.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Classes {
    One(String),
    Several(Vec<Option<String>>),
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

/// Returns the files to read before the choice, the most telling first: at most [`MAX_MANIFESTS`], of at most
/// [`MAX_MANIFEST_BYTES`] each and [`MAX_MANIFESTS_BYTES`] together. None where the reference names one file, a quantization or
/// patterns to take, for then they decide.
pub fn manifests_to_read(listing: &Listing, target: &RepoTarget) -> Vec<RelativePath> {
    let scope = match target {
        RepoTarget::Repository(selection) if selection.include.is_empty() => String::new(),
        RepoTarget::Path(path) if listing.size(path.as_str()).is_none() => format!("{path}/"),
        _ => return Vec::new(),
    };
    let mut found: Vec<(usize, &RelativePath, u64)> = Vec::new();
    for (name, file) in listing.below(&scope) {
        let Some(rel) = name.strip_prefix(&scope) else { continue };
        if let (Some(path), Some(rank)) = (&file.path, rank(rel, file.size)) {
            found.push((rank, path, file.size));
        }
    }
    found.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut budget = MAX_MANIFESTS_BYTES;
    let mut fits = |size: u64| {
        let left = budget.checked_sub(size);
        budget = left.unwrap_or(budget);
        left.is_some()
    };
    let chosen = found.into_iter().filter(|(_, _, size)| fits(*size));
    chosen.map(|(_, path, _)| path.clone()).take(MAX_MANIFESTS).collect()
}

/// Returns how telling a file is, by its path in the scope; `None` for a file that tells nothing.
fn rank(rel: &str, size: u64) -> Option<usize> {
    let (folder, name) = split(rel);
    let depth = folder.matches('/').count();
    if name.ends_with(".safetensors.index.json") {
        return (size <= MAX_MANIFEST_BYTES && depth <= 1).then_some(40 + depth);
    }
    if ending(name) == "py" {
        return (size <= MAX_CODE_BYTES && depth <= 1).then_some(50 + depth);
    }
    let most = if name == "tokenizer_config.json" { MAX_TOKENIZER_BYTES } else { MAX_CONFIG_BYTES };
    let at =
        TELLING.iter().chain(&NAMING_CODE).position(|telling| *telling == name).filter(|_| size <= most)?;
    match depth {
        0 => Some(at),
        // A part of a model may have a configuration of its own.
        1 => ["config.json", "adapter_config.json", "genai_config.json", "router_config.json"]
            .contains(&name)
            .then_some(60),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use provisioner_core::ModelRef;

    use super::*;

    #[test]
    fn a_configuration_that_is_large_is_not_read() {
        let ModelRef::Repo(hub) = "hf:o/r".parse().unwrap() else { panic!() };
        for (name, most) in [
            ("config.json", 256 << 10),
            ("adapter_config.json", 256 << 10),
            ("modeling_a.py", 256 << 10),
            ("tokenizer_config.json", 2 << 20),
            ("model.safetensors.index.json", 32 << 20),
        ] {
            let is_read =
                |size| !manifests_to_read(&[(name, size)].into_iter().collect(), hub.target()).is_empty();
            assert!(is_read(most) && !is_read(most + 1), "{name}");
        }
    }

    #[test]
    fn a_large_configuration_of_a_tokenizer_tells_its_code_alone() {
        let read = |map: &str| {
            let tokens = "{},".repeat(100_000);
            let text = format!(r#"{{ "tokens": [{tokens}{{}}], "auto_map": {map} }}"#);
            let mut manifests = Manifests::default();
            manifests.insert("tokenizer_config.json".parse().unwrap(), text.into_bytes());
            manifests.json("tokenizer_config.json")
        };
        let map = r#"{"AutoProcessor":"c.D","AutoTokenizer":["a.B",null]}"#;
        assert_eq!(read(map).unwrap().to_string(), format!(r#"{{"auto_map":{map}}}"#));
        assert_eq!(read("[1]"), None);
    }
}
