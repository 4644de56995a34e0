//! Whether a model is still what its record says, without reading its bytes.

use std::{io, path::Path};

use artifact_store::Store;
use provisioner_core::{CatalogRecord, RecordedFile, Stamp};

/// What a look at a model's files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Every file has the stamp that was recorded, and a folder has the names that were.
    Unchanged,
    /// Something differs.
    Changed(String),
}

/// Looks at the files of a record. Opens none of them; it may block.
pub(crate) fn freshness(record: &CatalogRecord, store: &Store) -> Freshness {
    if record.files.is_empty() {
        return Freshness::Changed("its files were never looked at".to_owned());
    }
    let mut changes = record.files.iter().filter_map(|file| change(file, &record.location(&file.path)));
    if let Some(change) = changes.next() {
        return Freshness::Changed(change);
    }
    match &record.entry {
        Some(_) => Freshness::Unchanged,
        // What else lies in a view of the store is no part of the model, and its own hidden files are.
        None if store.holds(record.root()) => Freshness::Unchanged,
        None => survey_names(record, &record.local_path),
    }
}

/// What is different about a file since it was recorded. `None` where nothing is.
pub(crate) fn change(file: &RecordedFile, location: &Path) -> Option<String> {
    let difference = match fs_err::metadata(location) {
        Ok(metadata) if !metadata.is_file() => "it is no file any more",
        Ok(metadata) => file.stamp.difference(&Stamp::of(&metadata))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "it is gone",
        Err(error) => return Some(error.to_string()),
    };
    Some(format!("`{}`: {difference}", location.display()))
}

fn survey_names(record: &CatalogRecord, folder: &Path) -> Freshness {
    match fetch_file::folder_names(folder) {
        Ok(names) if names.iter().map(|(path, _)| path).eq(record.files.iter().map(|file| &file.path)) => {
            Freshness::Unchanged
        }
        Ok(_) => Freshness::Changed(format!("`{}` has other files than before", folder.display())),
        Err(error) => Freshness::Changed(error.to_string()),
    }
}
