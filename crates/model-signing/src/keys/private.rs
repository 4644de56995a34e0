//! Reads private keys, and signs with them.

use std::fmt;

use p256::{
    ecdsa::signature::Signer,
    pkcs8::{ObjectIdentifier, PrivateKeyInfoRef, spki::der::Decode},
};

use super::{
    curve::{Curve, curve_of, kind, malformed},
    pem,
    public::PublicKey,
};
use crate::error::{Error, Result};

/// The label of a key in PKCS#8 (RFC 5958) and in SEC 1 (RFC 5915).
const PKCS8: &str = "PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";

/// Holds a private key. `Debug` prints `***` for it, and dropping it wipes it from the memory.
#[derive(Clone)]
pub struct PrivateKey(Key);

#[derive(Clone)]
enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
}

impl PrivateKey {
    /// Reads the text of a key file: PEM with one block `PRIVATE KEY` (RFC 7468, section 10) or `EC PRIVATE KEY` (RFC 5915,
    /// section 4), as `openssl genpkey` and `openssl ecparam -genkey` write it.
    ///
    /// # Errors
    /// [`Error::PrivateKey`]; an encrypted key is one of them.
    pub fn from_pem(text: &[u8]) -> Result<Self> {
        let read = || {
            let block = pem::only(text, &[PKCS8, SEC1])?;
            if block.label == SEC1 { from_sec1(&block.der) } else { from_pkcs8(&block.der) }
        };
        read().map_err(Error::PrivateKey)
    }

    /// Returns the public key that goes with this one.
    pub fn public_key(&self) -> PublicKey {
        match &self.0 {
            Key::P256(key) => PublicKey::p256(*key.verifying_key()),
            Key::P384(key) => PublicKey::p384(*key.verifying_key()),
            Key::P521(key) => PublicKey::p521(*key.verifying_key()),
        }
    }

    /// Signs a message, and returns the signature in ASN.1 DER. The same key and message always give the same signature (RFC
    /// 6979), so that signing needs no random number.
    ///
    /// # Errors
    /// [`Error::NotSigned`], which no key and message are known to cause.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let der = match &self.0 {
            Key::P256(key) => {
                key.try_sign(message).map(|sig: p256::ecdsa::Signature| sig.to_der().as_bytes().to_vec())
            }
            Key::P384(key) => {
                key.try_sign(message).map(|sig: p384::ecdsa::Signature| sig.to_der().as_bytes().to_vec())
            }
            Key::P521(key) => {
                key.try_sign(message).map(|sig: p521::ecdsa::Signature| sig.to_der().as_bytes().to_vec())
            }
        };
        der.map_err(|_| Error::NotSigned)
    }
}

fn from_pkcs8(der: &[u8]) -> std::result::Result<PrivateKey, String> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(malformed)?;
    let oid: Option<ObjectIdentifier> = info.algorithm.parameters_oid().ok();
    let key = match oid.and_then(curve_of) {
        Some(Curve::P256) => Key::P256(p256::SecretKey::try_from(info).map_err(malformed)?.into()),
        Some(Curve::P384) => Key::P384(p384::SecretKey::try_from(info).map_err(malformed)?.into()),
        Some(Curve::P521) => Key::P521(p521::SecretKey::try_from(info).map_err(malformed)?.into()),
        None => return Err(kind(info.algorithm.oid, oid)),
    };
    Ok(PrivateKey(key))
}

/// Reads a key of SEC 1, whose curve is named inside.
fn from_sec1(der: &[u8]) -> std::result::Result<PrivateKey, String> {
    let key = if let Ok(key) = p256::SecretKey::from_sec1_der(der) {
        Key::P256(key.into())
    } else if let Ok(key) = p384::SecretKey::from_sec1_der(der) {
        Key::P384(key.into())
    } else if let Ok(key) = p521::SecretKey::from_sec1_der(der) {
        Key::P521(key.into())
    } else {
        return Err("its block is malformed, or of another curve".to_owned());
    };
    Ok(PrivateKey(key))
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}
