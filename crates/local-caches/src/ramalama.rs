//! Knows the layout of RamaLama's models.

use std::path::Path;

use crate::{blob_folder::BlobFolder, folders::entries};

/// How deep below its `store` RamaLama keeps a model's folder of blobs: kind, organisation, name, `blobs`.
const DEPTH: usize = 4;

/// Returns the folders of blobs, one for each model.
pub(crate) fn blob_folders(root: &Path) -> Vec<BlobFolder> {
    let mut folders = vec![root.join("store")];
    for _ in 0..DEPTH {
        folders = folders.iter().flat_map(|folder| entries(folder)).collect();
    }
    let blobs = folders.into_iter().filter(|folder| folder.ends_with("blobs"));
    blobs.map(|folder| BlobFolder::new(root, folder, "sha256-")).collect()
}
