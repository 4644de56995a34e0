use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::keys::PrivateKey;

fn key(curve: &str) -> PrivateKey {
    let pem = match curve {
        "p256" => include_str!("../../tests/keys/p256.pkcs8.pem"),
        "p384" => include_str!("../../tests/keys/p384.pkcs8.pem"),
        _ => include_str!("../../tests/keys/p521.pkcs8.pem"),
    };
    PrivateKey::from_pem(pem.as_bytes()).unwrap()
}

fn trusted(curve: &str) -> TrustedSigner {
    (&key(curve).public_key()).into()
}

/// A signature of one file `a` with these bytes.
fn bundle(curve: &str) -> Value {
    let digest = Sha256::digest(b"hello");
    let payload = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "m", "digest": { "sha256": hex::encode(Sha256::digest(digest)) } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": [{ "name": "a", "algorithm": "sha256", "digest": hex::encode(digest) }],
            "serialization": { "method": "files", "hash_type": "sha256", "allow_symlinks": false }
        }
    });
    let key = key(curve);
    let envelope = Envelope::sign(PAYLOAD_TYPE, payload.to_string().into_bytes(), &key).unwrap();
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": key.public_key().fingerprint() }, "tlogEntries": [] },
        "dsseEnvelope": serde_json::from_str::<Value>(&envelope.to_json()).unwrap()
    })
}

fn read(bundle: &Value) -> Result<Bundle> {
    Bundle::from_json(bundle.to_string().as_bytes())
}

#[test]
fn a_signature_of_a_trusted_key_gives_the_signed_files() {
    for curve in ["p256", "p384", "p521"] {
        let bundle = read(&bundle(curve)).unwrap();
        let signed = bundle.verify(&[trusted("p521"), trusted(curve)]).unwrap();
        assert_eq!((signed.signer, signed.files.len()), (trusted(curve).signer(), 1), "{curve}");
    }
}

#[test]
fn a_wrong_key_is_named_beside_the_claimed_one() {
    let signed = read(&bundle("p256")).unwrap();
    let error = signed.verify(&[trusted("p384")]).unwrap_err();
    assert_eq!(error.code(), provisioner_core::ErrorCode::SignatureInvalid);
    let (told, claimed) = (error.to_string(), key("p256").public_key().fingerprint());
    assert!(told.ends_with(&format!("it says that it is by the key {claimed}")), "{told}");
    assert!(told.contains(&trusted("p384").signer().to_string()), "{told}");
    assert!(signed.verify(&[]).is_err());
}

#[test]
fn one_changed_bit_of_what_is_signed_is_refused() {
    use base64ct::{Base64, Encoding};
    let good = bundle("p384");
    let payload = Base64::decode_vec(good["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    for at in (0..payload.len()).step_by(7) {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        let mut bundle = good.clone();
        bundle["dsseEnvelope"]["payload"] = json!(Base64::encode_string(&changed));
        assert!(
            matches!(read(&bundle).unwrap().verify(&[trusted("p384")]), Err(Error::NotTrusted { .. })),
            "{at}"
        );
    }
}

#[test]
fn what_is_not_signed_decides_nothing() {
    // The hint is not signed: with a wrong one, the key decides all the same.
    for material in [
        json!({ "publicKey": { "hint": "00" } }),
        json!({ "publicKey": { "hint": "" }, "tlogEntries": [] }),
        // Before release 1.1 of the reference implementation.
        json!({ "publicKey": { "rawBytes": "LS0t", "keyDetails": "PKIX_ECDSA_P384_SHA_384" } }),
    ] {
        let mut bundle = bundle("p384");
        bundle["verificationMaterial"] = material.clone();
        bundle["dsseEnvelope"]["signatures"][0]["keyid"] = Value::Null;
        assert!(read(&bundle).unwrap().verify(&[trusted("p384")]).is_ok(), "{material}");
    }
}

#[test]
fn other_forms_are_told_apart() {
    let mut certified = bundle("p384");
    certified["verificationMaterial"] = json!({ "x509CertificateChain": { "certificates": [] } });
    let certified = read(&certified).unwrap();
    assert_eq!(certified.form(), BundleForm::Certificates);
    let error = certified.verify(&[trusted("p384")]).unwrap_err();
    assert_eq!(error.code(), provisioner_core::ErrorCode::SignatureUnsupported);
    assert!(
        error.to_string().contains("a certificate of an authority, as NVIDIA signs its models"),
        "{error}"
    );
    let mut keyless = bundle("p384");
    keyless["verificationMaterial"] = json!({ "certificate": {}, "tlogEntries": [{}] });
    let keyless = read(&keyless).unwrap();
    assert_eq!(keyless.form(), BundleForm::Keyless);
    assert!(keyless.verify(&[trusted("p384")]).is_err(), "a key is not an identity");
}

#[test]
fn a_malformed_bundle_is_refused() {
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut bundle = bundle("p256");
        change(&mut bundle);
        let error = read(&bundle).unwrap_err();
        assert!(matches!(&error, Error::Bundle(reason) if reason.contains(expected)), "{error}");
    };
    check(&|bundle| *bundle = json!([]), "invalid");
    check(&|bundle| bundle["mediaType"] = json!("text/plain"), "`text/plain` is not the type of a bundle");
    check(
        &|bundle| drop(bundle.as_object_mut().unwrap().remove("dsseEnvelope")),
        "missing field `dsseEnvelope`",
    );
    check(&|bundle| bundle["verificationMaterial"] = json!({}), "names neither a key nor a certificate");
    check(&|bundle| bundle["verificationMaterial"]["certificate"] = json!({}), "names more than one signer");
    check(&|bundle| bundle["verificationMaterial"] = json!({ "certificate": {} }), "no entry of a log");
    check(&|bundle| bundle["dsseEnvelope"]["payloadType"] = json!("x"), "it signs `x`, and not a statement");
    check(
        &|bundle| {
            let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
            signatures.push(signatures[0].clone());
        },
        "more than one signature",
    );
    let large = vec![b' '; usize::try_from(MAX_BUNDLE_BYTES).unwrap() + 1];
    assert!(Bundle::from_json(&large).unwrap_err().to_string().contains("larger than 33554432 bytes"));
    let deep = format!("{}{}", r#"{"x":"#.repeat(1000), "}".repeat(1000));
    assert!(Bundle::from_json(deep.as_bytes()).is_err());
    // A parser's excerpt of a long text stays short.
    let mut long = bundle("p256");
    long["mediaType"] = json!("x".repeat(1 << 20));
    assert!(read(&long).unwrap_err().to_string().len() < 300);
}

#[test]
fn other_files_with_that_ending_are_told_apart() {
    assert!(Bundle::is_likely(bundle("p256").to_string().as_bytes()));
    for other in
        ["", "-----BEGIN PGP SIGNATURE-----", "{\"a\": 1}", "application/vnd.dev.sigstore.bundle.v0.3+json"]
    {
        assert!(!Bundle::is_likely(other.as_bytes()), "{other}");
    }
}

#[test]
fn a_second_signature_in_another_form_is_refused() {
    let mut signed = bundle("p256");
    signed["messageSignature"] = json!({ "messageDigest": {}, "signature": "" });
    let error = read(&signed).unwrap_err();
    assert!(error.to_string().contains("beside the envelope"), "{error}");
}
