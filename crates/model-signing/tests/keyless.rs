//! A signature without a key, which the reference implementation made with Sigstore's public instance.
#![cfg(feature = "keyless")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use base64ct::{Base64, Encoding};
use model_signing::{Bundle, BundleForm, Comparison, Error, FoundFile};
use provisioner_core::{Digest, TrustedSigner};
use serde_json::Value;

const SIGNATURE: &str = include_str!("vectors/keyless-1.1.0.sig");
const IDENTITY: &str = "stefanb@us.ibm.com";
const ISSUER: &str = "https://sigstore.verify.ibm.com/oauth2";

fn files() -> [(&'static str, Digest); 2] {
    let digest = |hex: &str| format!("sha256:{hex}").parse().unwrap();
    [
        ("signme-1", digest("f6310066c7320497ea554260c32c43660bff648cb2a61194832cc086077085e1")),
        ("signme-2", digest("32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028")),
    ]
}

#[test]
fn a_signature_without_a_key_is_verified_offline() {
    let bundle = Bundle::from_json(SIGNATURE.as_bytes()).unwrap();
    assert_eq!(bundle.form(), BundleForm::Keyless);
    let trusted = TrustedSigner::identity(IDENTITY, ISSUER);
    let signed = bundle.verify(std::slice::from_ref(&trusted)).unwrap();
    assert_eq!(signed.signer, trusted.signer());
    let files = files();
    let found: Vec<_> =
        files.iter().map(|(path, digest)| FoundFile { path, size_bytes: 1, sha256: Some(digest) }).collect();
    assert_eq!(signed.files.compare(&found, None).unwrap(), Comparison::default());
}

#[test]
fn another_identity_or_issuer_is_refused() {
    let bundle = Bundle::from_json(SIGNATURE.as_bytes()).unwrap();
    let check = |identity: &str, issuer: &str, expected: &str| {
        let error = bundle.verify(&[TrustedSigner::identity(identity, issuer)]).unwrap_err();
        assert!(matches!(error, Error::NotTrusted { .. }) && error.to_string().contains(expected), "{error}");
    };
    check("stefan@us.ibm.com", ISSUER, "identity mismatch");
    check("", ISSUER, "identity mismatch");
    check(IDENTITY, "https://accounts.google.com", "issuer mismatch");
}

#[test]
fn a_changed_statement_is_refused() {
    // No digest covers the name of the model, so the signature alone tells of a change there.
    let renamed = |name: &str| {
        let mut bundle: Value = serde_json::from_str(SIGNATURE).unwrap();
        let payload = Base64::decode_vec(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
        let payload = String::from_utf8(payload).unwrap().replacen("v1.1.0-sigstore", name, 1);
        bundle["dsseEnvelope"]["payload"] = Base64::encode_string(payload.as_bytes()).into();
        let bundle = Bundle::from_json(bundle.to_string().as_bytes()).unwrap();
        bundle.verify(&[TrustedSigner::identity(IDENTITY, ISSUER)])
    };
    assert!(renamed("v1.1.0-sigstore").is_ok());
    let changed = renamed("v1.1.1-sigstore");
    assert!(matches!(changed, Err(Error::NotTrusted { .. })), "{changed:?}");
}
