//! Describes a partial in its own folder.

use std::{io, path::Path};

use durable_fs::ProcessIdentity;
use provisioner_core::key_of;
use serde::{Deserialize, Serialize};

use crate::{error::Result, layout::META};

/// The largest description that this process reads, in bytes. An id may have several thousand.
const MAX_META_BYTES: u64 = 64 << 10;

/// Holds the file `about` of a partial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartialMeta {
    /// The key of the model that needs the partial.
    pub(crate) model: String,
    /// The id of that model; `None` for a view, whose draft of a seal has it, and in partials of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The size of the whole file, in bytes.
    pub(crate) size_bytes: u64,
    /// The process that works on the partial.
    #[serde(rename = "owner")]
    pub(crate) process: ProcessIdentity,
}

impl PartialMeta {
    /// Describes a partial of this process, for the model of an id.
    pub(crate) fn new(id: &str, size_bytes: u64) -> Self {
        let given = Some(id).filter(|id| !id.is_empty()).map(str::to_owned);
        Self { model: key_of(id), id: given, size_bytes, process: ProcessIdentity::this() }
    }

    pub(crate) fn read(partial: &Path) -> Option<Self> {
        let bytes = durable_fs::read(&partial.join(META), MAX_META_BYTES).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn write(&self, partial: &Path) -> Result<()> {
        Ok(fs_err::write(partial.join(META), serde_json::to_vec(self).map_err(io::Error::from)?)?)
    }
}
