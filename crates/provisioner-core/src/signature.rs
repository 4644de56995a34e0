//! Says who must have signed a model, and who did.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, message::excerpt};

/// The largest number of characters of an identity that a message shows.
const MOST_NAME_CHARS: usize = 200;

/// Names the signer of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Signer {
    /// The signer holds a private key.
    Key {
        /// The fingerprint of the public key: the SHA-256 of its PEM with lines of 64 characters, in hex.
        fingerprint: String,
    },
    /// The signer proved to an issuer who it is, and holds no key (Sigstore).
    Identity {
        /// The identity in the signer's certificate: a mail address or a URL.
        identity: String,
        /// The URL of the issuer that vouches for the identity.
        issuer: String,
    },
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { fingerprint } => write!(f, "the key {}", excerpt(fingerprint, 19)),
            Self::Identity { identity, issuer } => {
                let (identity, issuer) =
                    (excerpt(identity, MOST_NAME_CHARS), excerpt(issuer, MOST_NAME_CHARS));
                write!(f, "`{}` of {}", identity.escape_debug(), issuer.escape_debug())
            }
        }
    }
}

/// Names a signer whom the caller trusts, with what proves a signature of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustedSigner {
    /// The caller trusts the holder of a private key.
    Key {
        /// The fingerprint of the public key.
        fingerprint: String,
        /// The public key as PEM.
        pem: String,
    },
    /// The caller trusts an identity of an issuer.
    Identity {
        /// The identity in the signer's certificate, in full.
        identity: String,
        /// The URL of the issuer, in full.
        issuer: String,
    },
}

impl TrustedSigner {
    /// Returns the signer of that identity, for whom that issuer vouches.
    pub fn identity(identity: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self::Identity { identity: identity.into(), issuer: issuer.into() }
    }

    /// Returns the name of the signer, as a record keeps it.
    pub fn signer(&self) -> Signer {
        match self {
            Self::Key { fingerprint, .. } => Signer::Key { fingerprint: fingerprint.clone() },
            Self::Identity { identity, issuer } => {
                Signer::Identity { identity: identity.clone(), issuer: issuer.clone() }
            }
        }
    }
}

/// Says what happens to a model that no trusted key signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SignatureMode {
    /// The signature of the model does not matter.
    Off,
    /// The provisioner warns, and uses the model.
    Warn,
    /// The provisioner denies the model.
    #[default]
    Enforce,
}

/// Demands that one of some signers signed the model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignatureDemand {
    /// The signers. Any one of them is enough, and where there are none, no signature is.
    pub signers: Vec<TrustedSigner>,
    /// The path of the signature, where the caller names one. Otherwise it lies beside the model.
    pub file: Option<PathBuf>,
    /// Says what happens to a model that none of them signed.
    pub mode: SignatureMode,
    /// Says whether a policy demands it, and not the caller.
    pub is_of_policy: bool,
}

impl SignatureDemand {
    /// Returns the demand that one of some signers signed the model. A model that none of them signed fails.
    pub fn by(signers: impl IntoIterator<Item = TrustedSigner>) -> Self {
        Self {
            signers: signers.into_iter().collect(),
            file: None,
            mode: SignatureMode::Enforce,
            is_of_policy: false,
        }
    }

    /// Sets the path of the signature.
    #[must_use]
    pub fn in_file(self, file: impl Into<PathBuf>) -> Self {
        Self { file: Some(file.into()), ..self }
    }

    /// Returns the demand as one of a policy, which says what happens to a model that none of the signers signed.
    #[must_use]
    pub fn of_policy(self, mode: SignatureMode) -> Self {
        Self { mode, is_of_policy: true, ..self }
    }

    /// Returns whether a model that none of the signers signed fails.
    pub fn is_enforced(&self) -> bool {
        self.mode == SignatureMode::Enforce
    }

    /// Returns whether one of the recorded signatures is by one of the signers.
    pub fn is_met_by(&self, recorded: &[RecordedSignature]) -> bool {
        let is_trusted = |signer: &Signer| self.signers.iter().any(|trusted| trusted.signer() == *signer);
        recorded.iter().any(|signature| is_trusted(&signature.signer))
    }
}

/// Holds a signature that was found with a model. No verifier has looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFile {
    /// The path of the file, as a person knows it: in the model, or on this machine.
    pub name: String,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

/// Keeps a signature that a verifier has verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSignature {
    /// The signer of the model.
    pub signer: Signer,
    /// The path of the signature: in the model, or on this machine.
    pub file: String,
    /// The SHA-256 of the signature's bytes.
    pub sha256: Digest,
    /// The signature itself, where it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
}

impl RecordedSignature {
    /// Returns the signature as a file, where the record keeps it.
    pub fn to_file(&self) -> Option<SignatureFile> {
        let bytes = self.bundle.as_ref()?.as_bytes().to_vec();
        Some(SignatureFile { name: self.file.clone(), bytes })
    }
}
