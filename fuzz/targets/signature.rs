//! Any bytes as the file of a model's signature, and as the statement of a trusted signer.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model_signing::{Bundle, Envelope, FoundFile, PrivateKey};
use provisioner_core::TrustedSigner;

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| {
    PrivateKey::from_pem(include_bytes!("../../crates/model-signing/tests/keys/p256.pkcs8.pem")).expect("a key")
});

fuzz_target!(|bytes: &[u8]| {
    let trusted = [TrustedSigner::from(&KEY.public_key())];
    if let Ok(bundle) = Bundle::from_json(bytes) {
        let _ = bundle.verify(&trusted);
    }
    let envelope = Envelope::sign("application/vnd.in-toto+json", bytes.to_vec(), &KEY).expect("it signs");
    let json = format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{{"publicKey":{{}}}},"dsseEnvelope":{}}}"#,
        envelope.to_json()
    );
    let bundle = Bundle::from_json(json.as_bytes()).expect("a bundle");
    let Ok(signed) = bundle.verify(&trusted) else { return };
    let found = [FoundFile { path: "a", size_bytes: 3, sha256: None }];
    let mut read = |_: &str, take: &mut dyn FnMut(&[u8])| {
        take(b"abc");
        Ok(())
    };
    let _ = signed.files.compare(&found, Some(&mut read));
});
