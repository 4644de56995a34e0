//! Reads the file of a model's signature: a Sigstore bundle around a DSSE envelope (OpenSSF Model Signing 1.0, section 4).
//!
//! A stranger may have written the file. Its length and the number of its parts have limits, a field that stands twice is
//! refused, and nothing of what it says counts before the signature is verified.

use provisioner_core::{Signer, TrustedSigner, excerpt};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    dsse::Envelope,
    error::{Error, Result},
    keys::PublicKey,
    statement::SignedFiles,
};

/// The largest file of a signature, in bytes. That of a model with 100,000 files has about 27 MB.
pub const MAX_BUNDLE_BYTES: u64 = 32 << 20;

/// The type of what the envelope of a signature holds.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// How the types of Sigstore's bundles begin: with the version behind a dot since 0.3, and in a parameter before.
const MEDIA_TYPES: [&str; 2] =
    ["application/vnd.dev.sigstore.bundle.v", "application/vnd.dev.sigstore.bundle+json;version="];

/// Holds the file of a model's signature. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Bundle {
    envelope: Envelope,
    form: BundleForm,
    claimed: Option<String>,
    #[cfg(feature = "keyless")]
    json: String,
}

/// Says by what means a model was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleForm {
    /// The signer holds a private key.
    Key,
    /// An authority certified the signer's key.
    Certificates,
    /// The signer proved to an issuer who it is, and a log of Sigstore says so.
    Keyless,
}

/// Holds what a trusted signer signed.
#[derive(Clone, Debug)]
pub struct SignedModel {
    /// The signer, which is one of those that the caller trusts.
    pub signer: Signer,
    /// The files that the signer names, with their digests.
    pub files: SignedFiles,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBundle {
    media_type: String,
    verification_material: RawMaterial,
    dsse_envelope: Envelope,
    #[serde(default)]
    message_signature: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMaterial {
    #[serde(default)]
    public_key: Option<RawKey>,
    #[serde(default)]
    x509_certificate_chain: Option<IgnoredAny>,
    #[serde(default)]
    certificate: Option<IgnoredAny>,
    #[serde(default)]
    tlog_entries: Option<Vec<IgnoredAny>>,
}

/// Holds what a bundle says of the key. Releases of the reference implementation before 1.1 wrote the key itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawKey {
    #[serde(default)]
    hint: Option<String>,
}

impl Bundle {
    /// Reads the file of a signature.
    ///
    /// # Errors
    /// [`Error::Bundle`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let malformed = |reason: String| Error::Bundle(excerpt(&reason, 200));
        if json.len() as u64 > MAX_BUNDLE_BYTES {
            return Err(malformed(format!("it is larger than {MAX_BUNDLE_BYTES} bytes")));
        }
        let raw: RawBundle = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if !MEDIA_TYPES.iter().any(|known| raw.media_type.starts_with(known)) {
            return Err(malformed(format!("`{}` is not the type of a bundle", raw.media_type)));
        }
        // Another reader may verify that one, and the files are those of the envelope.
        if raw.message_signature.is_some() {
            return Err(malformed("it has a message's signature beside the envelope".to_owned()));
        }
        let (form, claimed) =
            form_of(raw.verification_material).map_err(|reason| malformed(reason.to_owned()))?;
        if raw.dsse_envelope.payload_type() != PAYLOAD_TYPE {
            return Err(malformed(format!(
                "it signs `{}`, and not a statement",
                raw.dsse_envelope.payload_type()
            )));
        }
        if raw.dsse_envelope.signatures().len() != 1 {
            return Err(malformed("it has more than one signature".to_owned()));
        }
        Ok(Self {
            envelope: raw.dsse_envelope,
            form,
            claimed,
            #[cfg(feature = "keyless")]
            json: String::from_utf8(json.to_vec()).map_err(|error| malformed(error.to_string()))?,
        })
    }

    /// Returns whether a file looks like the file of a signature, and not like another file with the ending `.sig`.
    pub fn is_likely(bytes: &[u8]) -> bool {
        let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        begins
            && MEDIA_TYPES
                .iter()
                .any(|known| bytes.windows(known.len()).any(|window| window == known.as_bytes()))
    }

    /// Returns by what means the model was signed.
    pub const fn form(&self) -> BundleForm {
        self.form
    }

    /// Returns what was signed, once the signature is found to be by one of the signers.
    ///
    /// # Errors
    /// [`Error::NotTrusted`] for another signer and for a signature of other bytes; [`Error::Unsupported`] for a form that this
    /// build does not verify; [`Error::Statement`] for a signed text that does not describe a model.
    pub fn verify(&self, signers: &[TrustedSigner]) -> Result<SignedModel> {
        match self.form {
            BundleForm::Key => self.verify_by_key(signers),
            BundleForm::Certificates => Err(Error::Unsupported(
                "it was signed with a certificate of an authority, as NVIDIA signs its models, and this build verifies no \
                 signature of that form"
                    .to_owned(),
            )),
            BundleForm::Keyless => self.verify_keyless(signers),
        }
    }

    fn verify_by_key(&self, signers: &[TrustedSigner]) -> Result<SignedModel> {
        for trusted in signers {
            let TrustedSigner::Key { pem, .. } = trusted else { continue };
            if let Ok(payload) = self.envelope.verify(&PublicKey::from_pem(pem.as_bytes())?) {
                return Ok(SignedModel { signer: trusted.signer(), files: SignedFiles::from_json(payload)? });
            }
        }
        let claimed = match &self.claimed {
            Some(claimed) => format!("it says that it is by the key {}", excerpt(claimed, 64)),
            None => "it names no key".to_owned(),
        };
        Err(not_trusted(signers, claimed))
    }

    #[cfg(feature = "keyless")]
    fn verify_keyless(&self, signers: &[TrustedSigner]) -> Result<SignedModel> {
        let files = SignedFiles::from_json(self.envelope.unverified_payload())?;
        let mut told = "it was signed without a key (Sigstore)".to_owned();
        for trusted in signers {
            let TrustedSigner::Identity { identity, issuer } = trusted else { continue };
            match crate::keyless::verify(&self.json, files.signed_bytes(), identity, issuer) {
                Ok(()) => return Ok(SignedModel { signer: trusted.signer(), files }),
                Err(reason) => told = excerpt(&reason, 200),
            }
        }
        Err(not_trusted(signers, told))
    }

    #[cfg(not(feature = "keyless"))]
    #[expect(clippy::unused_self, reason = "a build that verifies such bundles reads it")]
    fn verify_keyless(&self, _: &[TrustedSigner]) -> Result<SignedModel> {
        Err(Error::Unsupported(
            "it was signed without a key (Sigstore), and this build verifies no signature of that form"
                .to_owned(),
        ))
    }
}

fn not_trusted(signers: &[TrustedSigner], claimed: String) -> Error {
    Error::NotTrusted { trusted: signers.iter().map(TrustedSigner::signer).collect(), claimed }
}

/// Returns the form of a bundle, and the fingerprint of the key that it claims.
fn form_of(material: RawMaterial) -> std::result::Result<(BundleForm, Option<String>), &'static str> {
    let has_entries = material.tlog_entries.is_some_and(|entries| !entries.is_empty());
    match (material.public_key, material.x509_certificate_chain, material.certificate) {
        (Some(key), None, None) => Ok((BundleForm::Key, key.hint.filter(|hint| !hint.is_empty()))),
        (None, Some(_), None) => Ok((BundleForm::Certificates, None)),
        (None, None, Some(_)) if has_entries => Ok((BundleForm::Keyless, None)),
        (None, None, Some(_)) => Err("it has a certificate, and no entry of a log (`tlogEntries`)"),
        (None, None, None) => Err("its `verificationMaterial` names neither a key nor a certificate"),
        _ => Err("its `verificationMaterial` names more than one signer"),
    }
}

#[cfg(test)]
mod tests;
