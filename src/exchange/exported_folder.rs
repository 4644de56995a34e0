//! Reads a folder that another process exported.
//!
//! The folder says what it is, and this step compares its bytes with that. But each person who carried the folder may
//! have written it. So its word counts no more than a source's, and a digest that the caller gives counts before it.

use std::path::Path;

use bundle::Bundle;
use provisioner_core::{
    Basis, ErrorCode, Locator, Manifest, ManifestFile, ModelRef, RecordedSignature, excerpt,
};

use super::found::{Found, needs_id};
use crate::{
    error::{Error, Result},
    registry::Registry,
};

/// Opens an exported folder; `None` for a file, and for a folder that was not exported. It may block.
pub(super) fn open(dir: &Path) -> Result<Option<Bundle>> {
    if !dir.is_dir() {
        return Ok(None);
    }
    Bundle::open(dir).map_err(missing)
}

/// Returns the files of an exported folder, under the folder's own id or another one. It may block.
pub(super) fn as_exported(
    registry: &Registry,
    dir: &Path,
    bundle: &Bundle,
    id: Option<&ModelRef>,
) -> Result<Found> {
    let record = bundle.record();
    let own = Some(registry.read(&bundle.reference()?)?).filter(|own| !own.is_local());
    let reference = match (id, &own) {
        (Some(id), _) => id.clone(),
        (None, Some(own)) => own.clone(),
        (None, None) => {
            let told = excerpt(&record.id, 200);
            let what = format!("`{told}` is an id that means something on another machine alone");
            return Err(needs_id(dir, what));
        }
    };
    warn_of_others(dir, bundle);
    let (mut files, mut locations) = (Vec::new(), Vec::new());
    for file in bundle.files().map_err(missing)? {
        let locator = Locator::Stored;
        files.push(ManifestFile { path: file.path, size: file.size_bytes, digest: file.sha256, locator });
        locations.push(file.location);
    }
    let manifest = Manifest::new(reference.clone(), files, record.loaded())?.chosen_as(record);
    let kept = record.signatures.iter().filter_map(RecordedSignature::to_file).collect();
    let manifest = manifest.with_signatures(kept);
    let is_own = own.as_ref() == Some(&reference);
    let manifest = match &record.revision {
        Some(revision) if is_own && !registry.pins(&reference, revision) => {
            let told = excerpt(revision, 80);
            let reason = format!("`{told}` is neither a commit nor another revision that its source pins");
            return Err(bundle::Error::Invalid { path: dir.to_owned(), reason }.into());
        }
        Some(revision) if is_own => manifest.at_revision(revision),
        _ => manifest,
    };
    // The source of the folder's id says nothing about another id.
    let basis = record.verification.basis.filter(|_| is_own).unwrap_or(Basis::FirstUse).min(Basis::Source);
    manifest.view_path()?;
    Ok(Found { manifest, locations, told: Some((record.digest.clone(), basis)) })
}

/// Returns the error of an exported folder that lacks one of its parts.
fn missing(error: bundle::Error) -> Error {
    match error {
        bundle::Error::Unreadable { path, source } => {
            Error::storage(format!("`{}` cannot be read", path.display()), source)
        }
        bundle::Error::Io(error) if ErrorCode::of_io(&error) == ErrorCode::NotFound => {
            Error::storage("the exported folder is not whole", error)
        }
        other => other.into(),
    }
}

/// Warns about files in a folder that its record does not name. The import leaves them behind.
fn warn_of_others(dir: &Path, bundle: &Bundle) {
    // A folder that cannot be listed is not an error here: the import looks for each file of the record.
    let names = fetch_file::folder_names(dir).unwrap_or_default();
    let mut others = names.iter().filter(|(path, _)| !bundle.names(path));
    let Some((first, _)) = others.next() else { return };
    let more = match others.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    tracing::warn!(
        "`{first}`{more} in `{}` is not a part of the exported model, and stays behind",
        dir.display()
    );
}
