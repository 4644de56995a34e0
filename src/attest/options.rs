//! Says which statement a caller wants, and holds the statement.

use std::path::PathBuf;

use attestation::PolicyInForce;
use provenance_log::Position;

/// Names a kind of statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Vsa => "vsa.json",
            Self::CycloneDx => "cdx.json",
        }
    }

    /// Returns the type of the statement where an envelope has it.
    #[cfg_attr(not(feature = "signing"), expect(dead_code, reason = "only a signature names the type"))]
    pub(crate) const fn payload_type(self) -> &'static str {
        match self {
            Self::Vsa => attestation::PAYLOAD_TYPE,
            Self::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }
}

/// Says where a statement goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementDest {
    /// The statement becomes this file.
    File(PathBuf),
    /// The statement becomes a file of this folder, named after the model.
    Folder(PathBuf),
}

/// Says which statement a caller wants.
#[derive(Clone, Debug, Default)]
pub struct AttestOptions {
    /// The kind of the statement.
    pub format: StatementFormat,
    /// Names the file or the folder that gets the statement; `None` where the caller alone gets it.
    pub dest: Option<StatementDest>,
    /// The URI of who verified the model, such as the operator's organisation; this program where it is absent.
    pub verifier_id: Option<String>,
    /// The policy of the operator that was in force; the rules that this program has by itself where it is absent.
    pub policy: Option<PolicyInForce>,
    /// The key that signs the statement. Unsigned, a statement proves nothing.
    #[cfg(feature = "signing")]
    pub key: Option<model_signing::PrivateKey>,
}

/// Holds a statement about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attestation {
    /// The id of the model.
    pub id: String,
    /// The statement; where it is signed, the DSSE envelope around it.
    pub json: String,
    /// The absolute path of the file with the statement, where the caller named one.
    pub path: Option<PathBuf>,
    /// The line of the provenance log that tells of the statement; `None` where this process could not write one.
    pub provenance: Option<Position>,
}
