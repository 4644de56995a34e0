//! Says which small files of a repository tell what it is, and holds what a fetcher read of them.

use std::collections::BTreeMap;

use provisioner_core::{RelativePath, reference::RepoTarget};

use crate::listing::Listing;

/// The largest number of bytes of a file that is worth a read before the choice. The index of a model of a thousand billion
/// parameters has 15 MB.
pub const MAX_MANIFEST_BYTES: u64 = 32 << 20;

/// The largest number of files that are read before the choice.
pub const MAX_MANIFESTS: usize = 32;

/// The names of the files that say what a repository is, the most telling first.
const TELLING: [&str; 9] = [
    "model_index.json",
    "modules.json",
    "adapter_config.json",
    "genai_config.json",
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "model.safetensors.index.json",
];

/// Holds the bytes of the manifests that a fetcher read. One that is missing is allowed: then names decide.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    files: BTreeMap<RelativePath, Vec<u8>>,
}

impl Manifests {
    /// Adds the bytes of a file.
    pub fn insert(&mut self, path: RelativePath, bytes: Vec<u8>) {
        self.files.insert(path, bytes);
    }
}

/// Returns the files to read before the choice, the most telling first: at most [`MAX_MANIFESTS`], of at most
/// [`MAX_MANIFEST_BYTES`] each. None where the reference names one file or patterns, for then they decide.
pub fn manifests_to_read(listing: &Listing, target: &RepoTarget) -> Vec<RelativePath> {
    if matches!(target, RepoTarget::Repository(selection) if !selection.is_empty()) {
        return Vec::new();
    }
    let wanted = TELLING.iter().filter_map(|name| RelativePath::new(*name).ok());
    let is_small =
        |path: &RelativePath| listing.size(path.as_str()).is_some_and(|size| size <= MAX_MANIFEST_BYTES);
    wanted.filter(is_small).take(MAX_MANIFESTS).collect()
}
