//! Reads the digest and the signature that the caller demands.

use model_provisioner::{Digest, DigestAlgorithm, Error, Expectation, signing::signature_demand};

use crate::{
    args::{EnsureOptions, SignatureOptions},
    output::failure::Failure,
};

/// Returns what the options demand of a model.
///
/// # Errors
/// Where the digest is not one, or the key cannot be read.
pub(super) fn expectation(options: &EnsureOptions) -> Result<Expectation, Failure> {
    let digest = digest(options.sha256.as_deref(), options.digest.as_deref())?;
    let expectation = digest.map_or_else(Expectation::none, Expectation::pinned).strict(options.strict);
    signed(expectation, &options.signature)
}

/// Returns an expectation with the signature that the options demand.
///
/// # Errors
/// Where the key cannot be read, or the options name no signer.
pub(super) fn signed(expectation: Expectation, options: &SignatureOptions) -> Result<Expectation, Failure> {
    Ok(match options.demanded() {
        Some(demanded) => expectation.signed(signature_demand(&demanded)?),
        None => expectation,
    })
}

/// Returns the digest that `--sha256` or `--digest` demands.
///
/// # Errors
/// Where the text is not a digest.
pub(super) fn digest(sha256: Option<&str>, digest: Option<&str>) -> Result<Option<Digest>, Failure> {
    Ok(match (sha256, digest) {
        (Some(hex), _) => {
            let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
            Some(Digest::new(DigestAlgorithm::Sha256, hex).map_err(Error::from)?)
        }
        (None, Some(digest)) => Some(digest.parse().map_err(Error::from)?),
        (None, None) => None,
    })
}
