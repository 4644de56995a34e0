//! A statement says what is recorded of a model, and is refused where that says too little.

use model_provisioner::{
    AttestOptions, Digest, ErrorCode, PolicyInForce, PrivateKey, StatementDest, StatementFormat,
};
use model_signing::{Envelope, PublicKey};
use serde_json::{Value, json};
use testkit::TINY_GGUF;

use crate::fixture::{Fixture, reference, rewrite_in_place, sha256};

const RECORD: &str = "https://model-provisioner.invalid/record/v1";

/// Makes a pinned model present, and returns its reference.
async fn pinned(bench: &Fixture) -> model_provisioner::ModelRef {
    let reference = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let digest: Digest = sha256(TINY_GGUF);
    bench.provisioner().ensure_present(&reference, Some(digest)).await.unwrap();
    reference
}

#[tokio::test]
async fn a_summary_names_the_line_that_tells_of_it() {
    let bench = Fixture::new();
    let reference = pinned(&bench).await;
    let policy =
        PolicyInForce { uri: "file:///etc/p.yaml".into(), digest: [("sha256".into(), "00".into())].into() };
    let options = AttestOptions { policy: Some(policy), ..AttestOptions::default() };
    let stated = bench.provisioner().attest(&reference, &options).await.unwrap();
    let statement: Value = serde_json::from_str(&stated.json).unwrap();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], sha256(TINY_GGUF).hex());
    let predicate = &statement["predicate"];
    assert_eq!(predicate["verifiedLevels"], json!(["MODEL_DIGEST_PINNED"]));
    assert_eq!(predicate["policy"]["uri"], "file:///etc/p.yaml");
    let line = stated.provenance.unwrap();
    assert_eq!(predicate[RECORD], json!({ "seq": line.seq, "line": format!("sha256:{}", line.hex()) }));
    let last = bench.provenance().pop().unwrap();
    assert_eq!((&last["action"], &last["seq"]), (&json!("attest"), &json!(line.seq)));
}

#[tokio::test]
async fn a_statement_is_written_into_a_folder_whole() {
    let bench = Fixture::new();
    let reference = pinned(&bench).await;
    let provisioner = bench.provisioner();
    let folder = bench.path("statements");
    let options =
        AttestOptions { dest: Some(StatementDest::Folder(folder.clone())), ..AttestOptions::default() };
    let mut paths = Vec::new();
    for format in [StatementFormat::Vsa, StatementFormat::CycloneDx] {
        let options = AttestOptions { format, ..options.clone() };
        let stated = provisioner.attest(&reference, &options).await.unwrap();
        let path = stated.path.unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), stated.json + "\n");
        let line = bench.provenance().pop().unwrap();
        assert_eq!(line["statement"], path.to_str().unwrap());
        paths.push(path);
    }
    assert!(
        paths[0].to_str().unwrap().ends_with(".vsa.json")
            && paths[1].to_str().unwrap().ends_with(".cdx.json")
    );
    assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 2, "nothing else is left");
    let model = StatementDest::File(bench.path("a.gguf"));
    let refused =
        provisioner.attest(&reference, &AttestOptions { dest: Some(model), ..options }).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::HandoffInTheWay);
    assert_eq!(fs_err::read(bench.path("a.gguf")).unwrap(), TINY_GGUF);
}

#[tokio::test]
async fn a_bill_of_materials_is_the_same_byte_for_byte() {
    let bench = Fixture::new();
    let reference = pinned(&bench).await;
    let options = AttestOptions { format: StatementFormat::CycloneDx, ..AttestOptions::default() };
    let mut texts = Vec::new();
    for _ in 0..2 {
        texts.push(bench.provisioner().attest(&reference, &options).await.unwrap().json);
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn nothing_is_stated_of_a_model_that_changed_or_was_not_read() {
    let bench = Fixture::new();
    let options = AttestOptions::default();
    let unread = reference(&bench.old_file("b.gguf", TINY_GGUF));
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&unread, None).await.unwrap();
    let refused = provisioner.attest(&unread, &options).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unproven);
    assert!(refused.to_string().ends_with("the digest of `b.gguf` is not known"), "{refused}");
    provisioner.verify(&unread).await.unwrap();
    provisioner.attest(&unread, &options).await.unwrap();
    let changed = pinned(&bench).await;
    rewrite_in_place(&bench.path("a.gguf"), &TINY_GGUF.iter().map(|byte| !byte).collect::<Vec<_>>());
    let refused = provisioner.attest(&changed, &options).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unproven);
    assert!(refused.hint().unwrap().to_string().contains("verify the model"), "{refused}");
    provisioner.retire(&unread).await.unwrap();
    assert_eq!(provisioner.attest(&unread, &options).await.unwrap_err().code(), ErrorCode::Retired);
}

#[tokio::test]
async fn a_signed_statement_is_an_envelope_around_it() {
    let bench = Fixture::new();
    let reference = pinned(&bench).await;
    for curve in ["p256", "p384", "p521"] {
        for form in ["pkcs8", "sec1"] {
            let read = |name: String| {
                let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/model-signing/tests/keys");
                fs_err::read(format!("{folder}/{curve}.{name}.pem")).unwrap()
            };
            let key = PrivateKey::from_pem(&read(form.to_owned())).unwrap();
            let options = AttestOptions { key: Some(key), ..AttestOptions::default() };
            let stated = bench.provisioner().attest(&reference, &options).await.unwrap();
            let envelope = Envelope::from_json(stated.json.as_bytes()).unwrap();
            assert_eq!(envelope.payload_type(), "application/vnd.in-toto+json");
            let public = PublicKey::from_pem(&read("pub".to_owned())).unwrap();
            let statement: Value = serde_json::from_slice(envelope.verify(&public).unwrap()).unwrap();
            assert_eq!(statement["predicateType"], "https://slsa.dev/verification_summary/v1");
        }
    }
}
