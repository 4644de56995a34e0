//! Reads, makes and verifies DSSE envelopes: a text, its type, and signatures over both (Dead Simple Signing Envelope 1.0,
//! `envelope.md` and `protocol.md` of secure-systems-lab/dsse).

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    keys::{PrivateKey, PublicKey},
};

/// The largest number of signatures of an envelope that this crate tries.
const MAX_SIGNATURES: usize = 16;

/// Holds a payload with its type, and signatures over both. A reader who did not [verify](Self::verify) it knows nothing of
/// where the payload comes from.
///
/// ```
/// # let pem = include_str!("../tests/keys/p256.pkcs8.pem");
/// use model_signing::{Envelope, PrivateKey};
///
/// let key = PrivateKey::from_pem(pem.as_bytes())?;
/// let envelope = Envelope::sign("application/vnd.in-toto+json", b"{}".to_vec(), &key)?;
/// let sent = envelope.to_json();
///
/// let received = Envelope::from_json(sent.as_bytes())?;
/// assert_eq!(received.verify(&key.public_key())?, b"{}");
/// # Ok::<(), model_signing::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEnvelope", into = "RawEnvelope")]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<EnvelopeSignature>,
}

/// Holds one signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// The name that the signer gave the key. It is not signed, and proves nothing.
    pub keyid: Option<String>,
    /// The signature: ASN.1 DER, where the key is on an elliptic curve.
    pub sig: Vec<u8>,
}

impl Envelope {
    /// Signs a payload and its type. The signature names the key by its [fingerprint](PublicKey::fingerprint).
    ///
    /// # Errors
    /// [`Error::NotSigned`].
    pub fn sign(payload_type: impl Into<String>, payload: Vec<u8>, key: &PrivateKey) -> Result<Self> {
        let payload_type = payload_type.into();
        let sig = key.sign(&pae(&payload_type, &payload))?;
        let keyid = Some(key.public_key().fingerprint());
        Ok(Self { payload_type, payload, signatures: vec![EnvelopeSignature { keyid, sig }] })
    }

    /// Reads an envelope from its JSON. The caller bounds the length of the text.
    ///
    /// # Errors
    /// [`Error::Envelope`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|error| Error::Envelope(error.to_string()))
    }

    /// Returns the JSON of the envelope, on one line.
    pub fn to_json(&self) -> String {
        // Texts and Base64 are always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the payload, once one of the signatures is found to be by the key.
    ///
    /// # Errors
    /// [`Error::WrongKey`].
    pub fn verify(&self, key: &PublicKey) -> Result<&[u8]> {
        let message = pae(&self.payload_type, &self.payload);
        if self.signatures.iter().any(|signature| key.verifies(&message, &signature.sig)) {
            return Ok(&self.payload);
        }
        Err(Error::WrongKey { fingerprint: key.fingerprint() })
    }

    /// Returns the type of the payload.
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// Returns the payload as it arrived. No signature was looked at.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the signatures of the envelope.
    pub fn signatures(&self) -> &[EnvelopeSignature] {
        &self.signatures
    }
}

/// Returns what a signature of an envelope is over: the pre-authentication encoding of a payload and its type.
///
/// ```
/// assert_eq!(model_signing::pae("t", b"{}"), b"DSSEv1 1 t 2 {}");
/// ```
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// Holds an envelope as it looks in files. A field that is not named here is passed over.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
struct RawSignature {
    #[serde(default)]
    keyid: Option<String>,
    sig: String,
}

impl TryFrom<RawEnvelope> for Envelope {
    type Error = String;

    fn try_from(raw: RawEnvelope) -> std::result::Result<Self, String> {
        match raw.signatures.len() {
            0 => return Err("it has no signature".to_owned()),
            1..=MAX_SIGNATURES => {}
            more => return Err(format!("it has {more} signatures, and {MAX_SIGNATURES} are the most")),
        }
        let decode = |text: &str, name| {
            Base64::decode_vec(text)
                .map_err(|_| format!("`{name}` is not Base64 with padding (RFC 4648, section 4)"))
        };
        let mut signatures = Vec::new();
        for signature in raw.signatures {
            signatures
                .push(EnvelopeSignature { keyid: signature.keyid, sig: decode(&signature.sig, "sig")? });
        }
        Ok(Self { payload_type: raw.payload_type, payload: decode(&raw.payload, "payload")?, signatures })
    }
}

impl From<Envelope> for RawEnvelope {
    fn from(envelope: Envelope) -> Self {
        let signatures = envelope.signatures.into_iter().map(|signature| RawSignature {
            keyid: Some(signature.keyid.unwrap_or_default()),
            sig: Base64::encode_string(&signature.sig),
        });
        Self {
            payload: Base64::encode_string(&envelope.payload),
            payload_type: envelope.payload_type,
            signatures: signatures.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
