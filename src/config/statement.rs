//! Says which statement a config wants.

use std::path::{Path, PathBuf};

use attestation::StatementFormat;
use serde::{Deserialize, Deserializer, de::Error as _};

/// Says which statement about its model a config wants beside the handoff.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AttestConfig {
    /// Names the folder that gets the statement. A relative path begins at the config's folder.
    pub dir: PathBuf,
    /// Says what is stated: `vsa`, a SLSA verification summary, or `cyclonedx`, a bill of materials.
    #[serde(default)]
    pub format: StatementFormat,
    /// Names the file of the private key that signs the statement, as PEM. A relative path begins at the config's folder. Unsigned,
    /// a statement proves nothing.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Names who verified the model by a URI. Absent means this program.
    #[serde(default, deserialize_with = "uri")]
    pub verifier: Option<String>,
}

impl AttestConfig {
    /// Returns the same demand, with paths that begin at a folder.
    pub(super) fn below(&self, folder: &Path) -> Self {
        let key = self.key.as_ref().map(|key| folder.join(key));
        Self { dir: folder.join(&self.dir), key, ..self.clone() }
    }
}

/// Reads a URI.
fn uri<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if attestation::is_uri(&text) {
        return Ok(Some(text));
    }
    Err(D::Error::custom("it must be a URI, such as `https://example.org/models`"))
}
