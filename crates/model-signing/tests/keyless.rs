//! A signature without a key, which the reference implementation made with Sigstore's public instance.
#![cfg(feature = "keyless")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use base64ct::{Base64, Encoding};
use model_signing::{Bundle, BundleForm, Comparison, Error, FoundFile};
use provisioner_core::{Digest, TrustedSigner};
use serde_json::{Value, json};

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

/// Returns the answer to the signature with a change in it.
fn changed(change: impl Fn(&mut Value)) -> Result<(), Error> {
    let mut bundle: Value = serde_json::from_str(SIGNATURE).unwrap();
    change(&mut bundle);
    let bundle = Bundle::from_json(bundle.to_string().as_bytes())?;
    bundle.verify(&[TrustedSigner::identity(IDENTITY, ISSUER)]).map(drop)
}

/// Changes one bit in the middle of some Base64.
fn flip(text: &mut Value) {
    let mut bytes = Base64::decode_vec(text.as_str().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *text = Base64::encode_string(&bytes).into();
}

fn one_more(number: &mut Value) {
    *number = (number.as_str().unwrap().parse::<u64>().unwrap() + 1).to_string().into();
}

#[test]
fn what_the_log_did_not_take_in_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change, &str); 11] = [
        ("another time", |entry| one_more(&mut entry["integratedTime"]), "inclusion promise"),
        ("no time", |entry| entry["integratedTime"] = Value::Null, "JSON error"),
        ("another place in the log", |entry| one_more(&mut entry["logIndex"]), "inclusion promise"),
        ("another log", |entry| flip(&mut entry["logId"]["keyId"]), "inclusion promise"),
        ("another entry", |entry| flip(&mut entry["canonicalizedBody"]), "inclusion promise"),
        ("another promise", |entry| flip(&mut entry["inclusionPromise"]["signedEntryTimestamp"]), "promise"),
        ("another tree", |entry| flip(&mut entry["inclusionProof"]["rootHash"]), "root hash"),
        ("another path to the root", |entry| flip(&mut entry["inclusionProof"]["hashes"][0]), "proof"),
        ("no path", |entry| entry["inclusionProof"]["hashes"] = json!([]), "proof"),
        ("no proof", |entry| entry["inclusionProof"] = Value::Null, "must have an inclusion proof"),
        (
            "another checkpoint",
            |entry| {
                let checkpoint = &mut entry["inclusionProof"]["checkpoint"]["envelope"];
                let (head, signature) = checkpoint.as_str().unwrap().rsplit_once(' ').unwrap();
                let signature: String = signature.trim().chars().rev().collect();
                *checkpoint = format!("{head} {signature}\n").into();
            },
            "checkpoint",
        ),
    ];
    for (what, change, expected) in changes {
        let error =
            changed(|bundle| change(&mut bundle["verificationMaterial"]["tlogEntries"][0])).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, Error::NotTrusted { .. }) && told.contains(expected), "{what}: {told}");
    }
    let entries = |bundle: &mut Value| bundle["verificationMaterial"]["tlogEntries"] = json!([]);
    assert!(matches!(changed(entries), Err(Error::Bundle(_))));
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let certificate = |der: String| {
        changed(|bundle| bundle["verificationMaterial"]["certificate"]["rawBytes"] = der.clone().into())
            .unwrap_err()
            .to_string()
    };
    let pem = include_str!("vectors/other-authority.pem");
    let told = certificate(pem.lines().filter(|line| !line.starts_with('-')).collect());
    assert!(told.contains("certificate chain is invalid"), "{told}");
    let told = certificate(String::new());
    assert!(told.contains("malformed certificate"), "{told}");
    let told =
        changed(|bundle| flip(&mut bundle["verificationMaterial"]["certificate"]["rawBytes"])).unwrap_err();
    assert!(told.to_string().contains("certificate chain is invalid"), "{told}");
}
