//! Knows the layout of the cache of the Hugging Face Hub's own tools.

use std::path::{Path, PathBuf};

use provisioner_core::{ModelRef, reference::RepoRef};

use crate::{blob_folder::BlobFolder, folders::entries};

/// The scheme of the source that the tools serve.
const HUB: &str = "hf";

/// Returns the folders of blobs, one for each repository.
pub(crate) fn blob_folders(cache: &Path) -> Vec<BlobFolder> {
    let is_repository = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"models--"))
    };
    let repositories = entries(cache).into_iter().filter(is_repository);
    repositories.map(|folder| BlobFolder::new(cache, folder.join("blobs"), "").with_git_ids()).collect()
}

/// Returns the name of the folder in which the Hub's own tools keep a repository: `models--org--repo`. `None` for a repository
/// of another source.
pub fn hub_folder(repo: &RepoRef) -> Option<String> {
    (repo.scheme() == HUB).then(|| format!("models--{}", repo.repo().replace('/', "--")))
}

/// Returns the snapshots of a model's repository. They hold the files themselves where there are no symlinks.
pub(crate) fn snapshots(cache: &Path, reference: &ModelRef) -> Vec<PathBuf> {
    let folder = reference.repository().and_then(hub_folder);
    folder.map(|folder| entries(&cache.join(folder).join("snapshots"))).unwrap_or_default()
}
