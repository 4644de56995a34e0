//! What a partial says of itself.

use std::{io, path::Path};

use provisioner_core::key_of;
use serde::{Deserialize, Serialize};

use crate::{ProcessIdentity, Result, partial::view_of, view::sealed_id};

/// An id may have several thousand bytes.
const MAX_ABOUT_BYTES: u64 = 64 << 10;

/// The file `about` of a partial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartialMeta {
    /// The key of the model that it is for.
    pub(crate) model: String,
    /// The id of that model; `None` for a view, whose draft of a seal has it, and in partials of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// What the whole file will take.
    pub(crate) size_bytes: u64,
    pub(crate) owner: ProcessIdentity,
}

impl PartialMeta {
    /// Describes a partial of this process, for the model of an id.
    pub(crate) fn new(id: &str, size_bytes: u64) -> Self {
        let known = Some(id).filter(|id| !id.is_empty()).map(str::to_owned);
        Self { model: key_of(id), id: known, size_bytes, owner: ProcessIdentity::this() }
    }

    pub(crate) fn read(partial: &Path) -> Option<Self> {
        let bytes = durable_fs::read(&partial.join("about"), MAX_ABOUT_BYTES).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn write(&self, partial: &Path) -> Result<()> {
        Ok(fs_err::write(partial.join("about"), serde_json::to_vec(self).map_err(io::Error::from)?)?)
    }
}

/// The id of the model that a partial is for, where the partial says it.
pub(crate) fn id_of(partial: &Path) -> Option<String> {
    PartialMeta::read(partial).and_then(|about| about.id).or_else(|| sealed_id(&view_of(partial)))
}
