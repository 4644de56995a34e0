//! Reads plain files, which an import stores under an id that the caller gives.

use provisioner_core::{
    Entry, Locator, Manifest, ManifestFile, ModelRef,
    reference::{RepoRef, RepoTarget},
};

use super::found::Found;
use crate::error::{Error, Result};

/// Returns plain files under an id. A single file gets the name that the id has. It may block.
pub(super) fn as_files(listed: &Manifest, id: ModelRef) -> Result<Found> {
    let named = match id.repository().map(RepoRef::target) {
        Some(RepoTarget::Path(path)) if listed.files().len() == 1 => Some(path.clone()),
        _ => None,
    };
    let mut locations = Vec::new();
    let mut files = Vec::new();
    for file in listed.files() {
        let Locator::InPlace(location) = &file.locator else { continue };
        // The name is the user's, and may be a symlink.
        let failed = |error| Error::storage(format!("`{}` cannot be found", location.display()), error);
        locations.push(fs_err::canonicalize(location).map_err(failed)?);
        let path = named.clone().unwrap_or_else(|| file.path.clone());
        files.push(ManifestFile { path, locator: Locator::Stored, ..file.clone() });
    }
    let entry = match (listed.entry(), named) {
        (Entry::File(_), Some(named)) => Entry::File(named),
        (Entry::Folder, _) => entry_of(&id, listed)?,
        (entry, _) => entry.clone(),
    };
    let manifest = Manifest::new(id, files, entry)?.with_projector(listed.projector().cloned());
    Ok(Found { manifest, locations, told: None })
}

/// Returns the part of a folder that an engine opens for an id: the file that the id names, or else the folder.
fn entry_of(id: &ModelRef, listed: &Manifest) -> Result<Entry> {
    let Some(repo) = id.repository() else { return Ok(Entry::Folder) };
    match repo.target() {
        RepoTarget::Repository(_) => Ok(Entry::Folder),
        RepoTarget::Path(path) if listed.files().iter().any(|file| file.path == *path) => {
            Ok(Entry::File(path.clone()))
        }
        RepoTarget::Path(_) | RepoTarget::Quantization(_) => Err(provisioner_core::Error::InvalidReference {
            text: id.id(),
            reason: "it is the id of a file, and the folder at the path does not have that file".to_owned(),
            hint: Some("import the file itself, or give the folder the id of its repository".to_owned()),
        }
        .into()),
    }
}
