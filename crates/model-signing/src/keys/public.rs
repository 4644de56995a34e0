//! Reads public keys, and verifies signatures with them.

use std::fmt;

use p256::{
    ecdsa::signature::Verifier,
    pkcs8::{
        DecodePublicKey, EncodePublicKey, LineEnding,
        spki::{SubjectPublicKeyInfoRef, der::Decode},
    },
};
use provisioner_core::TrustedSigner;
use sha2::{Digest as _, Sha256};

use super::{
    curve::{Curve, curve_of, kind, malformed},
    pem,
};
use crate::error::{Error, Result};

/// Holds a public key, by which a person knows a signer.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Key);

#[derive(Clone, PartialEq, Eq)]
enum Key {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Reads the text of a key file: PEM with one block `PUBLIC KEY` (RFC 7468, section 13), as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// [`Error::PublicKey`].
    pub fn from_pem(text: &[u8]) -> Result<Self> {
        let read = || {
            let block = pem::only(text, &["PUBLIC KEY"])?;
            Self::from_der(&block.der)
        };
        read().map_err(Error::PublicKey)
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, section 4.1).
    pub(crate) fn from_der(der: &[u8]) -> std::result::Result<Self, String> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(malformed)?;
        let curve = info.algorithm.parameters_oid().ok();
        match curve.and_then(curve_of) {
            Some(Curve::P256) => {
                Ok(Self(Key::P256(DecodePublicKey::from_public_key_der(der).map_err(malformed)?)))
            }
            Some(Curve::P384) => {
                Ok(Self(Key::P384(DecodePublicKey::from_public_key_der(der).map_err(malformed)?)))
            }
            Some(Curve::P521) => {
                Ok(Self(Key::P521(DecodePublicKey::from_public_key_der(der).map_err(malformed)?)))
            }
            None => Err(kind(info.algorithm.oid, curve)),
        }
    }

    /// Returns the curve of the key.
    pub const fn curve(&self) -> Curve {
        match self.0 {
            Key::P256(_) => Curve::P256,
            Key::P384(_) => Curve::P384,
            Key::P521(_) => Curve::P521,
        }
    }

    /// Returns the key as PEM, in lines of 64 characters that end with a newline.
    pub fn to_pem(&self) -> String {
        let pem = match &self.0 {
            Key::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Key::P384(key) => key.to_public_key_pem(LineEnding::LF),
            Key::P521(key) => key.to_public_key_pem(LineEnding::LF),
        };
        // A point of a curve always has this form.
        pem.unwrap_or_default()
    }

    /// Returns the fingerprint of the key: the SHA-256 of [`to_pem`](Self::to_pem) in hex. Signers of models name their key by
    /// it.
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.to_pem()))
    }

    /// Returns whether a signature of a message is by the private key of this one. The signature is ASN.1 DER, as OpenSSL
    /// writes it (SEC 1, section C.8).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Key::P256(key) => {
                p256::ecdsa::Signature::from_der(signature).and_then(|sig| key.verify(message, &sig))
            }
            Key::P384(key) => {
                p384::ecdsa::Signature::from_der(signature).and_then(|sig| key.verify(message, &sig))
            }
            Key::P521(key) => {
                p521::ecdsa::Signature::from_der(signature).and_then(|sig| key.verify(message, &sig))
            }
        }
        .is_ok()
    }

    pub(super) const fn p256(key: p256::ecdsa::VerifyingKey) -> Self {
        Self(Key::P256(key))
    }

    pub(super) const fn p384(key: p384::ecdsa::VerifyingKey) -> Self {
        Self(Key::P384(key))
    }

    pub(super) const fn p521(key: p521::ecdsa::VerifyingKey) -> Self {
        Self(Key::P521(key))
    }
}

impl From<&PublicKey> for TrustedSigner {
    fn from(key: &PublicKey) -> Self {
        Self::Key { fingerprint: key.fingerprint(), pem: key.to_pem() }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.curve(), self.fingerprint())
    }
}
