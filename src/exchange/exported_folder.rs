//! A folder that was exported.
//!
//! It says what it is, and its bytes are compared with that. But everyone who carried it may have written it, so its word counts
//! no more than a source's, and a digest that the caller gives counts before it.

use std::path::Path;

use provisioner_core::{
    Basis, CatalogRecord, Entry, ErrorCode, Locator, Manifest, ManifestFile, ModelRef, RelativePath, excerpt,
    reference::is_commit,
};

use super::found::{Found, needs_id};
use crate::error::{Error, Result};

/// Returns the record of an exported folder; `None` where the path is another folder, or a file. It may block.
pub(super) fn exported(dir: &Path) -> Result<Option<CatalogRecord>> {
    if !dir.is_dir() {
        return Ok(None);
    }
    artifact_store::exported(dir).map_err(missing)
}

/// Returns a folder that was exported, under the id that it says or another one. It may block.
pub(super) fn as_exported(dir: &Path, record: &CatalogRecord, id: Option<&ModelRef>) -> Result<Found> {
    let invalid = |reason: String| artifact_store::Error::InvalidExport { path: dir.to_owned(), reason };
    let own = ModelRef::parse(&record.id, None).ok().filter(|own| own.id() == record.id);
    let own = own.ok_or_else(|| invalid(format!("`{}` is no id", excerpt(&record.id, 200))))?;
    let own = Some(own).filter(|own| matches!(own, ModelRef::Hub(_)));
    let reference = match (id, &own) {
        (Some(id), _) => id.clone(),
        (None, Some(own)) => own.clone(),
        (None, None) => {
            let told = excerpt(&record.id, 200);
            let what = format!("`{told}` is an id that means something on another machine alone");
            return Err(needs_id(dir, what));
        }
    };
    warn_of_others(dir, record);
    let (mut files, mut locations) = (Vec::new(), Vec::new());
    for file in &record.files {
        let location = dir.join(&file.path);
        let failed = |error| Error::storage(format!("`{}` cannot be read", location.display()), error);
        let metadata = fs_err::symlink_metadata(&location).map_err(failed)?;
        if !metadata.is_file() {
            return Err(invalid(format!("`{}` is no regular file", file.path)).into());
        }
        let (path, size, digest) = (file.path.clone(), metadata.len(), file.sha256.clone());
        if let Some(expected) = digest.clone().filter(|_| size != file.stamp.size) {
            let (expected_bytes, actual_bytes) = (file.stamp.size, size);
            let error = artifact_store::Error::WrongSize { path, expected, expected_bytes, actual_bytes };
            return Err(error.into());
        }
        files.push(ManifestFile { path, size, digest, locator: Locator::Streamed(String::new()) });
        locations.push(location);
    }
    // Files are in the order of their paths in a manifest, and may have been in any other.
    let mut order: Vec<_> = files.iter().map(|file| file.path.clone()).zip(locations).collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let locations = order.into_iter().map(|(_, location)| location).collect();
    let entry = record.entry.clone().map_or(Entry::Folder, Entry::File);
    let manifest = Manifest::new(reference.clone(), files, entry)?.with_projector(record.projector.clone());
    let is_own = own.as_ref() == Some(&reference);
    let manifest = match &record.revision {
        Some(revision) if is_own && !is_commit(revision) => {
            return Err(invalid(format!("`{}` is no commit", excerpt(revision, 80))).into());
        }
        Some(revision) if is_own => manifest.at_revision(revision),
        _ => manifest,
    };
    // Its source has said nothing about another id.
    let basis = record.verification.basis.filter(|_| is_own).unwrap_or(Basis::FirstUse).min(Basis::Source);
    manifest.view_path()?;
    Ok(Found { manifest, locations, told: Some((record.digest.clone(), basis)) })
}

/// Returns the error of a part of an exported folder that is not there.
fn missing(error: artifact_store::Error) -> Error {
    match error {
        artifact_store::Error::Io(error) if ErrorCode::of_io(&error) == ErrorCode::NotFound => {
            Error::storage("the exported folder is not whole", error)
        }
        other => other.into(),
    }
}

/// Warns that a folder has files which its record does not name, and which stay behind.
fn warn_of_others(dir: &Path, record: &CatalogRecord) {
    // A folder that cannot be listed is not an error here: the files of the record are looked for one by one.
    let names = fetch_file::folder_names(dir).unwrap_or_default();
    let is_known = |path: &RelativePath| {
        path.as_str() == artifact_store::SUMS || record.files.iter().any(|file| file.path == *path)
    };
    let mut others = names.iter().filter(|(path, _)| !is_known(path));
    let Some((first, _)) = others.next() else { return };
    let more = match others.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    tracing::warn!(
        "`{first}`{more} in `{}` is no part of the exported model, and stays behind",
        dir.display()
    );
}
