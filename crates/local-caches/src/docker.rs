//! Knows the layout of Docker Model Runner's models.

use std::path::Path;

use crate::blob_folder::BlobFolder;

/// Returns the folder of blobs.
pub(crate) fn blob_folders(models: &Path) -> Vec<BlobFolder> {
    vec![BlobFolder::new(models, models.join("blobs/sha256"), "")]
}
