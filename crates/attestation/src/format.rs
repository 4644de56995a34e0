//! Names the kinds of statements.

use serde::Deserialize;

use crate::statement::PAYLOAD_TYPE;

/// Names a kind of statement.
///
/// ```
/// use attestation::StatementFormat;
///
/// let format: StatementFormat = serde_json::from_str("\"cyclonedx\"")?;
/// assert_eq!((format, format.ending()), (StatementFormat::CycloneDx, "cdx.json"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "Names a kind of statement."))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StatementFormat {
    /// An in-toto Statement v1 with a SLSA Verification Summary v1.
    #[default]
    Vsa,
    /// A bill of materials in CycloneDX 1.6. Of one record it is always the same.
    CycloneDx,
}

impl StatementFormat {
    /// Returns the end of the name of a file with such a statement.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Vsa => "vsa.json",
            Self::CycloneDx => "cdx.json",
        }
    }

    /// Returns the media type of the statement, as an envelope around it has it.
    pub const fn payload_type(self) -> &'static str {
        match self {
            Self::Vsa => PAYLOAD_TYPE,
            Self::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }
}
