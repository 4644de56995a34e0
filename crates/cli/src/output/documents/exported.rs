//! Defines the document of an exported model.

use std::path::PathBuf;

use model_provisioner::{CatalogRecord, ResolvedModel};
use serde::Serialize;

use super::model::{File, Model};

/// Describes a model that the command exported.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Exported {
    /// The id.
    id: String,
    /// The folder.
    pub(crate) dir: PathBuf,
    /// The files in it.
    files: Vec<File>,
    /// The size of all files, in bytes.
    size_bytes: u64,
}

impl From<CatalogRecord> for Exported {
    fn from(record: CatalogRecord) -> Self {
        let (id, dir) = (record.id.clone(), record.local_path.clone());
        let Model { files, size_bytes, .. } = Model::new(&ResolvedModel::new(record, true), None);
        Self { id, dir, files, size_bytes }
    }
}
