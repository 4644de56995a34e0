//! Defines the document of the catalog.

use std::path::PathBuf;

use model_provisioner::{
    CatalogRecord, Digest, Lifecycle, ListedModel, Timestamp, Verification, readable_size,
};
use serde::Serialize;

use crate::output::text::verification_word;

/// Describes one record of the catalog.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Listed {
    /// The id.
    id: String,
    /// The path that an engine opens.
    local_path: PathBuf,
    /// Whether the model may be used.
    lifecycle: Lifecycle,
    /// The digest: of the file, or of the table of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// The size of all files, in bytes.
    size_bytes: u64,
    /// The commit, where the source has revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// When the model was last used, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    last_used_at: Option<Timestamp>,
    /// How the command knows that these are the right bytes.
    verification: Verification,
}

impl From<ListedModel> for Listed {
    fn from(entry: ListedModel) -> Self {
        let CatalogRecord { id, local_path, lifecycle, digest, size_bytes, revision, verification, .. } =
            entry.record;
        Self {
            id,
            local_path,
            lifecycle,
            digest,
            size_bytes,
            revision,
            last_used_at: entry.last_used_at,
            verification,
        }
    }
}

/// The first line of the table for people.
pub(crate) const HEAD: &str = "STATE            SIZE  LAST USED         VERIFIED     ID";

impl Listed {
    /// Returns a line of the table, for people.
    pub(crate) fn row(&self) -> String {
        let used =
            self.last_used_at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
        let (state, size) = (self.lifecycle.as_str(), readable_size(self.size_bytes));
        let verified = verification_word(&self.verification);
        format!("{state:8}  {size:>11}  {used:16}  {verified:11}  {}", self.id)
    }
}
