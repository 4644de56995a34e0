//! Lists the views of a store.

use std::path::{Path, PathBuf};

use durable_fs::entries;
use provisioner_core::CatalogRecord;

use crate::{
    error::Result,
    files::{is_folder, is_named},
    layout::{REMOVED, SEAL, Store},
    views::seal::read_seal,
};

/// Describes a view that is whole.
#[derive(Clone, Debug)]
pub struct SealedView {
    /// The folder of the view.
    pub root: PathBuf,
    /// Says what the catalog said of the model when a commit made the view.
    pub record: CatalogRecord,
}

impl Store {
    /// Returns every sealed view, sorted by its folder.
    ///
    /// # Errors
    /// What the operating system says of the folders.
    pub fn views(&self) -> Result<Vec<SealedView>> {
        let mut found = Vec::new();
        let mut folders = vec![self.models()];
        while let Some(folder) = folders.pop() {
            if let Some(record) = read_seal(&folder)? {
                found.push(SealedView { root: folder, record });
                continue;
            }
            // Below a view whose removal has begun, or whose seal cannot be read, there are its files, and no views.
            if folder.join(SEAL).exists() || folder.join(REMOVED).exists() {
                continue;
            }
            folders.extend(subfolders(&folder)?);
        }
        found.sort_unstable_by(|a, b| a.root.cmp(&b.root));
        Ok(found)
    }
}

/// Returns the folders in a folder, but for hidden ones.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = entries(folder)?.into_iter();
    Ok(paths.filter(|path| !is_named(path, ".") && is_folder(path)).collect())
}
