//! Any bytes, and any change of a good signature, are refused or read, and never break the reader.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use model_signing::{Bundle, Envelope, FoundFile, PrivateKey, PublicKey};
use proptest::prelude::*;
use provisioner_core::TrustedSigner;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn key() -> PrivateKey {
    PrivateKey::from_pem(include_bytes!("keys/p256.pkcs8.pem")).unwrap()
}

/// Signs any resources, with the right digest over those that have one.
fn signed(resources: &Value, serialization: &Value) -> String {
    let digests = resources
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|resource| hex::decode(resource["digest"].as_str()?).ok());
    let root = hex::encode(Sha256::digest(digests.flatten().collect::<Vec<u8>>()));
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "m", "digest": { "sha256": root } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": { "resources": resources, "serialization": serialization }
    });
    let envelope =
        Envelope::sign("application/vnd.in-toto+json", statement.to_string().into_bytes(), &key()).unwrap();
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": "" } },
        "dsseEnvelope": serde_json::from_str::<Value>(&envelope.to_json()).unwrap()
    });
    bundle.to_string()
}

fn trusted() -> TrustedSigner {
    (&key().public_key()).into()
}

/// Makes a resource that is sound more often than not, but for its name: else no statement of several would be read.
fn resource() -> impl Strategy<Value = Value> {
    let name = prop_oneof![8 => "[a-c./]{0,5}", 1 => "[ab](:[0-9]{1,2}){2}", 1 => any::<String>()];
    let algorithm = prop_oneof![
        16 => Just("sha256".to_owned()),
        1 => Just("sha256-sharded-3".to_owned()),
        1 => Just("blake2b".to_owned()),
        1 => any::<String>()
    ];
    let digest = prop_oneof![16 => "[0-9a-f]{64}", 1 => "[0-9a-f]{0,128}", 1 => any::<String>()];
    (name, algorithm, digest).prop_map(
        |(name, algorithm, digest)| json!({ "name": name, "algorithm": algorithm, "digest": digest }),
    )
}

fn serialization() -> impl Strategy<Value = Value> {
    let size = prop_oneof![
        Just(json!(3.0)),
        any::<f64>().prop_map(|size| json!(size)),
        any::<u64>().prop_map(|size| json!(size))
    ];
    let ignored = prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec("[a./]{0,4}", 0..3)];
    (prop_oneof![4 => "files", 1 => "shards", 1 => "[a-z]{0,4}"], size, ignored).prop_map(
        |(method, size, ignored)| json!({ "method": method, "shard_size": size, "ignore_paths": ignored }),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Bundle::from_json(&bytes).is_err());
        prop_assert!(PublicKey::from_pem(&bytes).is_err());
        prop_assert!(PrivateKey::from_pem(&bytes).is_err());
        let _ = (Envelope::from_json(&bytes).is_err(), Bundle::is_likely(&bytes));
    }

    #[test]
    fn what_a_trusted_signer_says_names_no_file_outside(
        resources in proptest::collection::vec(resource(), 0..6),
        serialization in serialization(),
        paths in proptest::collection::vec("[a-c./]{1,5}", 0..4),
    ) {
        let json = signed(&Value::Array(resources), &serialization);
        let Ok(signed) = Bundle::from_json(json.as_bytes()).unwrap().verify(&[trusted()]) else { return Ok(()) };
        let found: Vec<_> = paths.iter().map(|path| FoundFile { path, size_bytes: 3, sha256: None }).collect();
        let mut read = |_: &str, take: &mut dyn FnMut(&[u8])| {
            take(b"abc");
            Ok(())
        };
        let compared = signed.files.compare(&found, Some(&mut read)).unwrap();
        for name in &compared.absent {
            prop_assert!(!name.starts_with('/') && !name.split('/').any(|part| part == ".." || part.is_empty()), "{name}");
        }
        prop_assert!(compared.changed.len() + compared.unsigned.len() + compared.ignored.len() <= found.len());
    }

    #[test]
    fn no_changed_byte_of_a_signature_passes(at in 0usize..10_000, bit in 0u8..8) {
        let digest = hex::encode(Sha256::digest(b"abc"));
        // No digest covers the name of a file, so the signature alone tells of a change there.
        let resources = json!([{ "name": "a".repeat(300), "algorithm": "sha256", "digest": digest }]);
        let good = signed(&resources, &json!({ "method": "files" }));
        let mut changed = good.clone().into_bytes();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        // What is not signed may change: then the signed text is the same.
        if Bundle::from_json(&changed).and_then(|bundle| bundle.verify(&[trusted()])).is_ok() {
            let envelope = |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap()["dsseEnvelope"].clone();
            let (changed, good) = (envelope(&changed), envelope(good.as_bytes()));
            prop_assert_eq!(&changed["payload"], &good["payload"]);
            prop_assert_eq!(&changed["payloadType"], &good["payloadType"]);
        }
    }
}
