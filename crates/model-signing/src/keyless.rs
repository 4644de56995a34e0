//! Verifies signatures that were made without a key, by what Sigstore's authority and its log say of the signer. It opens no
//! connection: the keys of Sigstore's public instance are a part of the build.

use sigstore_verify::{
    VerificationPolicy,
    trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot},
    types::Bundle,
    verify as verify_bundle,
};

/// Verifies that an identity signed the SHA-256 of some bytes.
///
/// # Errors
/// Why it did not, as a fragment.
pub(crate) fn verify(json: &str, signed: &[u8], identity: &str, issuer: &str) -> Result<(), String> {
    let root = TrustedRoot::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT).map_err(|error| error.to_string())?;
    let bundle = Bundle::from_json(json).map_err(|error| error.to_string())?;
    let policy = VerificationPolicy::any_identity().require_identity(identity).require_issuer(issuer);
    verify_bundle(signed, &bundle, &policy, &root).map(drop).map_err(|error| error.to_string())
}
