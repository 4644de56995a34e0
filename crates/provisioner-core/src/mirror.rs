//! Names a mirror: another address that may have what a source has.

use serde::{Deserialize, Serialize};

/// Names another address at which the models of a scheme may be had. A provisioner asks a mirror only for bytes whose SHA-256 it
/// knows from elsewhere, so that a mirror needs no trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The scheme whose source is mirrored, such as `hf`.
    pub scheme: String,
    /// The address, such as `https://hub.example`, as the source's own endpoint is written. It has no user name and no password.
    pub endpoint: String,
}
