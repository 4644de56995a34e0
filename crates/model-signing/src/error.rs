//! Says why a key, an envelope or a signature is refused.

use provisioner_core::{ErrorCode, Hint, Signer, told};

/// Is a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a key, an envelope or a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is not a public key of a form and a curve that this crate reads.
    #[error(
        "{0}; a public key is read as PEM (`PUBLIC KEY`, which is SubjectPublicKeyInfo), on P-256, P-384 or P-521"
    )]
    PublicKey(String),
    /// A text is not a private key of a form and a curve that this crate reads.
    #[error(
        "{0}; a private key is read as PEM (`PRIVATE KEY`, which is PKCS#8, or `EC PRIVATE KEY`, which is SEC 1), without a \
         passphrase, on P-256, P-384 or P-521"
    )]
    PrivateKey(String),
    /// A text is not a DSSE envelope.
    #[error("the envelope is malformed: {0}")]
    Envelope(String),
    /// No signature of an envelope is by the key.
    #[error("the signature is not by the key {fingerprint}, or the signed text was changed")]
    WrongKey {
        /// The fingerprint of the key, in hex.
        fingerprint: String,
    },
    /// A file is not the signature of a model.
    #[error("the signature is malformed: {0}")]
    Bundle(String),
    /// The signature is by a trusted signer, and what was signed does not describe a model.
    #[error("the signed statement is malformed: {0}")]
    Statement(String),
    /// The signature is by another signer than those whom the caller trusts, or its text was changed.
    #[error("the signature is not by {}, or the signed text was changed; {claimed}", told_signers(.trusted))]
    NotTrusted {
        /// The signers whom the caller trusts.
        trusted: Vec<Signer>,
        /// Says what the signature claims of its signer, as a fragment. Nothing proves it.
        claimed: String,
    },
    /// This build verifies no signature of that form.
    #[error("the signature cannot be verified: {0}")]
    Unsupported(String),
    /// The key did not sign.
    #[error("the key did not sign")]
    NotSigned,
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::PublicKey(_) | Self::PrivateKey(_) => ErrorCode::InvalidKey,
            Self::Envelope(_)
            | Self::WrongKey { .. }
            | Self::Bundle(_)
            | Self::Statement(_)
            | Self::NotTrusted { .. } => ErrorCode::SignatureInvalid,
            Self::Unsupported(_) => ErrorCode::SignatureUnsupported,
            Self::NotSigned => ErrorCode::Failed,
        }
    }

    /// Returns the next step, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        self.code().hint()
    }
}

/// Returns the signers as a message shows them.
fn told_signers(signers: &[Signer]) -> String {
    match signers {
        [] => "a signer whom the caller trusts".to_owned(),
        signers => told(signers.iter()),
    }
}
