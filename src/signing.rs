//! Reads who must have signed a model. With the feature `signing`, it has the keys and the envelopes of signatures besides.

use std::path::Path;

#[cfg(feature = "signing")]
pub use model_signing::{
    Bundle, BundleForm, Comparison, Curve, Envelope, EnvelopeSignature, Error as SigningError, FoundFile,
    MAX_BUNDLE_BYTES, PrivateKey, PublicKey, ReadBytes, SignedFiles, SignedModel, pae,
};
use provisioner_core::{SignatureDemand, TrustedSigner};

use crate::{
    config::SignatureConfig,
    error::{Error, Result},
};

/// The largest file of a key that is read, in bytes.
#[cfg(feature = "signing")]
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Reads the public key of a signer whom the caller trusts. It may block.
///
/// # Errors
/// The file cannot be read; [`Error::Key`].
#[cfg(feature = "signing")]
pub fn trusted_key(path: &Path) -> Result<TrustedSigner> {
    Ok(TrustedSigner::from(&public_key(path)?))
}

/// Reads a public key. It may block.
///
/// # Errors
/// The file cannot be read; [`Error::Key`].
#[cfg(feature = "signing")]
pub fn public_key(path: &Path) -> Result<PublicKey> {
    let text = crate::config::read_named_file(path, MAX_KEY_BYTES)?;
    PublicKey::from_pem(&text).map_err(|error| not_a_key(path, &error))
}

/// Reads the private key that signs a statement: PEM without a passphrase, PKCS#8 or SEC 1. A key that every user of this machine
/// can read earns a warning. It may block.
///
/// # Errors
/// The file cannot be read; [`Error::Key`].
#[cfg(feature = "signing")]
pub fn private_key(path: &Path) -> Result<PrivateKey> {
    let text = crate::secret_file::read_secret_file(path, "the key", MAX_KEY_BYTES)?;
    PrivateKey::from_pem(&text).map_err(|error| not_a_key(path, &error))
}

#[cfg(feature = "signing")]
fn not_a_key(path: &Path, error: &SigningError) -> Error {
    Error::Key { path: path.to_owned(), reason: error.to_string() }
}

/// Fails, for this build verifies no signatures.
///
/// # Errors
/// Always [`Error::SignatureDemand`].
#[cfg(not(feature = "signing"))]
pub fn trusted_key(_: &Path) -> Result<TrustedSigner> {
    Err(Error::SignatureDemand { reason: "a signature is demanded, and this build verifies none" })
}

/// Returns the demand that a config makes, or options like it. It reads the key, and may block.
///
/// # Errors
/// The key cannot be read; the demand names no signer, or half of an identity; this build does not verify such signatures.
pub fn signature_demand(config: &SignatureConfig) -> Result<SignatureDemand> {
    let refused = |reason| Err(Error::SignatureDemand { reason });
    let signer = match (&config.public_key, &config.identity, &config.identity_issuer) {
        (Some(key), None, None) => trusted_key(key)?,
        (None, Some(identity), Some(issuer)) if cfg!(feature = "signing-keyless") => {
            TrustedSigner::identity(identity, issuer)
        }
        (None, Some(_), Some(_)) => {
            return refused("this build verifies no signatures without a key (Sigstore)");
        }
        (Some(_), _, _) => return refused("a signer has a key or an identity, and not both"),
        (None, None, None) => {
            return refused(
                "a signature counts for a signer whom the caller trusts: name a key or an identity",
            );
        }
        _ => return refused("an identity counts together with the issuer that vouches for it: name both"),
    };
    let demand = SignatureDemand::by([signer]);
    Ok(match &config.file {
        Some(file) => demand.in_file(file),
        None => demand,
    })
}
