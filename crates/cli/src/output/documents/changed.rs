//! Defines the document of a changed record.

use std::path::PathBuf;

use model_provisioner::{CatalogRecord, Lifecycle, Removed, readable_size};
use serde::Serialize;

use super::leftover::Leftover;

/// Says how a record changed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Changed {
    /// The id.
    id: String,
    /// The path that an engine opens; of a removed model, the path that it opened. Absent where there was no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    local_path: Option<PathBuf>,
    /// Whether the model may be used; absent where the command removed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifecycle: Option<Lifecycle>,
    /// The unfinished transfers that the command removed along with the record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leftovers: Vec<Leftover>,
}

impl Changed {
    /// Describes a record with another lifecycle.
    pub(crate) fn lifecycle(record: CatalogRecord) -> Self {
        let CatalogRecord { id, local_path, lifecycle, .. } = record;
        Self { id, local_path: Some(local_path), lifecycle: Some(lifecycle), leftovers: Vec::new() }
    }

    /// Describes a model that the command removed.
    pub(crate) fn removed(id: String, removed: Removed) -> Self {
        let Removed { record, transfers, .. } = removed;
        let leftovers = transfers.iter().map(Leftover::from).collect();
        Self { id, local_path: record.map(|record| record.local_path), lifecycle: None, leftovers }
    }

    /// Returns the change for people.
    pub(crate) fn text(&self) -> String {
        let Self { id, local_path, lifecycle, leftovers } = self;
        if let Some(lifecycle) = lifecycle {
            return format!("{id} is {}", lifecycle.as_str());
        }
        let mut lines = Vec::new();
        if local_path.is_some() {
            let what = if id.starts_with("local:") {
                "its files are yours, and stay"
            } else {
                "so are its files that no other model has"
            };
            lines.push(format!("{id} is removed from the catalog; {what}"));
        }
        if !leftovers.is_empty() {
            let bytes = readable_size(leftovers.iter().map(|leftover| leftover.bytes).sum());
            lines.push(format!("the unfinished transfer of {id} is removed: freed {bytes}"));
        }
        lines.join("\n")
    }
}
