//! Whether a model is still what its record says, without reading its bytes.

use std::path::Path;

use artifact_store::Store;
use provisioner_core::{CatalogRecord, Stamp};

/// What a look at a model's files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Survey {
    /// Every file has the stamp that was recorded, and a folder has the names that were.
    Unchanged,
    /// Something differs.
    Changed(String),
}

/// Looks at the files of a record. Opens none of them; it may block.
pub(crate) fn survey(record: &CatalogRecord, store: &Store) -> Survey {
    if record.files.is_empty() {
        return Survey::Changed("its files were never looked at".to_owned());
    }
    for file in &record.files {
        let location = record.location(&file.path);
        let difference = match fs_err::metadata(&location) {
            Ok(metadata) if !metadata.is_file() => Some("it is no file any more"),
            Ok(metadata) => file.stamp.difference(&Stamp::of(&metadata)),
            Err(error) => return Survey::Changed(error.to_string()),
        };
        if let Some(difference) = difference {
            return Survey::Changed(format!("`{}`: {difference}", location.display()));
        }
    }
    match &record.entry {
        Some(_) => Survey::Unchanged,
        // What else lies in a view of the store is no part of the model, and its own hidden files are.
        None if store.holds(record.root()) => Survey::Unchanged,
        None => survey_names(record, &record.local_path),
    }
}

fn survey_names(record: &CatalogRecord, folder: &Path) -> Survey {
    match fetch_file::folder_names(folder) {
        Ok(names) if names.iter().map(|(path, _)| path).eq(record.files.iter().map(|file| &file.path)) => {
            Survey::Unchanged
        }
        Ok(_) => Survey::Changed(format!("`{}` has other files than before", folder.display())),
        Err(error) => Survey::Changed(error.to_string()),
    }
}
