use super::*;

fn key() -> PrivateKey {
    PrivateKey::from_pem(include_bytes!("../../tests/keys/p384.pkcs8.pem")).unwrap()
}

fn other() -> PrivateKey {
    PrivateKey::from_pem(include_bytes!("../../tests/keys/p256.pkcs8.pem")).unwrap()
}

#[test]
fn the_encoding_is_that_of_the_protocol() {
    // The example of `protocol.md`.
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    // Lengths are in bytes.
    assert_eq!(pae("ä", "ö".as_bytes()), "DSSEv1 2 ä 2 ö".as_bytes());
}

#[test]
fn an_envelope_that_was_changed_is_refused() {
    let key = key();
    let envelope = Envelope::sign("type", b"payload".to_vec(), &key).unwrap();
    assert_eq!(
        envelope,
        Envelope::sign("type", b"payload".to_vec(), &key).unwrap(),
        "signed without a random number"
    );
    assert_eq!(envelope.verify(&key.public_key()).unwrap(), b"payload");
    let check = |change: fn(&mut Envelope)| {
        let mut changed = envelope.clone();
        change(&mut changed);
        assert!(matches!(changed.verify(&key.public_key()), Err(Error::WrongKey { .. })), "{changed:?}");
    };
    check(|envelope| envelope.payload[0] ^= 1);
    check(|envelope| envelope.payload_type.push(' '));
    check(|envelope| envelope.signatures[0].sig[10] ^= 1);
    check(|envelope| envelope.signatures[0].sig.clear());
    let told = envelope.verify(&other().public_key()).unwrap_err().to_string();
    assert!(told.contains(&other().public_key().fingerprint()), "{told}");
}

#[test]
fn one_of_several_signatures_is_enough() {
    let mut envelope = Envelope::sign("type", b"payload".to_vec(), &other()).unwrap();
    envelope.signatures.extend(Envelope::sign("type", b"payload".to_vec(), &key()).unwrap().signatures);
    assert!(envelope.verify(&key().public_key()).is_ok() && envelope.verify(&other().public_key()).is_ok());
}

#[test]
fn the_json_is_that_of_the_specification() {
    let envelope = Envelope::sign("type", b"payload".to_vec(), &key()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&envelope.to_json()).unwrap();
    assert_eq!(json["payload"], "cGF5bG9hZA==");
    assert_eq!(json["payloadType"], "type");
    assert_eq!(json["signatures"][0]["keyid"], key().public_key().fingerprint());
    assert_eq!(Envelope::from_json(envelope.to_json().as_bytes()).unwrap(), envelope);
    // A signer need not name its key, and may say more than this crate knows.
    for (keyid, more) in [("", ""), (r#""keyid":null,"#, ""), (r#""keyid":"","#, r#","more":1"#)] {
        let json =
            format!(r#"{{"payload":"","payloadType":"t","signatures":[{{{keyid}"sig":"AA=="}}]{more}}}"#);
        assert_eq!(Envelope::from_json(json.as_bytes()).unwrap().signatures()[0].sig, [0], "{json}");
    }
}

#[test]
fn a_malformed_envelope_is_refused() {
    let check = |json: &str, expected: &str| {
        let told = Envelope::from_json(json.as_bytes()).unwrap_err().to_string();
        assert!(told.starts_with("the envelope is malformed: ") && told.contains(expected), "{told}");
    };
    check("", "EOF");
    check("{}", "missing field `payload`");
    check(r#"{"payload":"","payloadType":"t","signatures":[]}"#, "it has no signature");
    check(r#"{"payload":"a","payloadType":"t","signatures":[{"sig":""}]}"#, "`payload` is not Base64");
    check(r#"{"payload":"","payloadType":"t","signatures":[{"sig":"*"}]}"#, "`sig` is not Base64");
    check(r#"{"payload":"","payload":"","payloadType":"t","signatures":[]}"#, "duplicate field `payload`");
    let many = vec![r#"{"sig":""}"#; 17].join(",");
    check(&format!(r#"{{"payload":"","payloadType":"t","signatures":[{many}]}}"#), "17 signatures");
}
