//! A statement says what is recorded of a model, and is refused where that says too little.

use std::sync::Arc;

use model_provisioner::{
    AttestOptions, Digest, ErrorCode, ModelProvisioner, ModelProvisionerConfig, PolicyFile, PrivateKey,
    StatementDest, StatementFormat,
};
use model_signing::{Envelope, PublicKey};
use serde_json::{Value, json};
use testkit::{PUBLIC_KEY, TINY_GGUF};

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
    let stated = bench.provisioner().attest(&reference, &AttestOptions::default()).await.unwrap();
    let statement: Value = serde_json::from_str(&stated.json).unwrap();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], sha256(TINY_GGUF).hex());
    let predicate = &statement["predicate"];
    assert_eq!(predicate["verifiedLevels"], json!(["MODEL_DIGEST_PINNED"]));
    assert_eq!(predicate["policy"]["uri"], "https://model-provisioner.invalid/policy/built-in/v1");
    let line = stated.provenance.unwrap();
    assert_eq!(predicate[RECORD], json!({ "seq": line.seq, "line": format!("sha256:{}", line.hex()) }));
    let last = bench.provenance().pop().unwrap();
    assert_eq!((&last["action"], &last["seq"]), (&json!("attest"), &json!(line.seq)));
}

/// Returns a provisioner under some files of an operator.
fn under(bench: &Fixture, files: &[&str]) -> ModelProvisioner {
    let builder = ModelProvisioner::builder(bench.cache());
    let under = |builder: model_provisioner::ProvisionerBuilder, file: &&str| {
        builder.policy_engine(Arc::new(PolicyFile::read(bench.path(file))))
    };
    files.iter().fold(builder, under).build().unwrap()
}

#[tokio::test]
async fn a_summary_names_every_policy_of_its_provisioner() {
    let bench = Fixture::new();
    let reference = pinned(&bench).await;
    let texts = ["version: 1\nschemes: [local]\n", "version: 1\nmax_bytes: 1G\n"];
    for (name, text) in ["one.yaml", "two.yaml"].iter().zip(texts) {
        bench.old_file(name, text.as_bytes());
    }
    let named = |name: &str, text: &str| {
        let uri = format!("file://{}", bench.path(name).display());
        json!({ "uri": uri, "digest": { "sha256": sha256(text.as_bytes()).hex() } })
    };
    let (one, two) = (named("one.yaml", texts[0]), named("two.yaml", texts[1]));
    for (files, policy, all) in [
        (&["one.yaml"][..], &one, Value::Null),
        (&["one.yaml", "two.yaml"], &one, json!([one, two])),
        (&["two.yaml", "one.yaml"], &two, json!([two, one])),
    ] {
        let stated = under(&bench, files).attest(&reference, &AttestOptions::default()).await.unwrap();
        let predicate = serde_json::from_str::<Value>(&stated.json).unwrap()["predicate"].take();
        assert_eq!(&predicate["policy"], policy, "{files:?}");
        assert_eq!(predicate["https://model-provisioner.invalid/policies/v1"], all, "{files:?}");
    }
}

/// A summary says `PASSED` under a policy, so the policy has to allow the model.
#[tokio::test]
async fn no_summary_says_that_a_denied_model_passed() {
    let bench = Fixture::new();
    let reference = pinned(&bench).await;
    bench.old_file("key.pem", PUBLIC_KEY.as_bytes());
    let here = bench.path("");
    let signed = |mode: &str| {
        let repos = format!("\"local:{}*\"", here.display());
        format!("signatures: [{{ repos: [{repos}], keys: [key.pem], mode: {mode} }}]")
    };
    for rules in
        ["max_bytes: 3", "formats: [safetensors]", "schemes: [hf]", &signed("enforce"), "netwrok: deny"]
    {
        bench.old_file("policy.yaml", format!("version: 1\n{rules}\n").as_bytes());
        let provisioner = under(&bench, &["policy.yaml"]);
        let lines = bench.provenance().len();
        let refused = provisioner.attest(&reference, &AttestOptions::default()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PolicyDenied, "{rules}: {refused}");
        assert_eq!(bench.provenance().len(), lines, "no line tells of a statement");
        let bom = AttestOptions { format: StatementFormat::CycloneDx, ..AttestOptions::default() };
        provisioner.attest(&reference, &bom).await.unwrap();
    }
    for rules in ["max_bytes: 1G", &signed("warn"), &signed("off")] {
        bench.old_file("policy.yaml", format!("version: 1\n{rules}\n").as_bytes());
        under(&bench, &["policy.yaml"]).attest(&reference, &AttestOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_config_wants_a_statement_beside_its_handoff() {
    let bench = Fixture::new();
    bench.old_file("a.gguf", TINY_GGUF);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/model-signing/tests/keys/p256");
    let digest = format!("expected_digest: {{ algo: sha256, value: \"{}\" }}\n", sha256(TINY_GGUF).hex());
    let attest = format!(
        "attest: {{ dir: out, key: \"{key}.pkcs8.pem\", verifier: \"https://example.org/models\" }}\n"
    );
    let path = bench.old_file("model.yaml", format!("model_ref: a.gguf\n{digest}{attest}").as_bytes());
    let config = ModelProvisionerConfig::from_path(&path).unwrap();
    let handoff = bench.path("out/engine.json");
    let provisioner =
        ModelProvisioner::builder(bench.cache()).policy(config.placed_policy()).build().unwrap();
    let done = provisioner.provision(&config, &path, &handoff).await.unwrap();
    let statement = done.statement.unwrap();
    assert_eq!(statement.parent(), handoff.parent());
    let envelope = Envelope::from_json(&fs_err::read(&statement).unwrap()).unwrap();
    let public = PublicKey::from_pem(&fs_err::read(format!("{key}.pub.pem")).unwrap()).unwrap();
    let stated: Value = serde_json::from_slice(envelope.verify(&public).unwrap()).unwrap();
    let predicate = &stated["predicate"];
    assert_eq!(predicate["verifier"]["id"], "https://example.org/models");
    assert_eq!(predicate["policy"]["uri"], format!("file://{}", path.display()), "its rules were in force");
    let actions: Vec<_> = bench.provenance().iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions[actions.len() - 2..], ["attest", "provision"], "the statement is there first");
}

#[tokio::test]
async fn no_handoff_is_written_where_the_wanted_statement_cannot_be_made() {
    let bench = Fixture::new();
    bench.old_file("a.gguf", TINY_GGUF);
    for (attest, code) in [
        ("{ dir: out }", ErrorCode::Unproven),
        ("{ dir: out, key: absent.pem }", ErrorCode::NotFound),
        ("{ dir: out, key: a.gguf }", ErrorCode::InvalidKey),
    ] {
        let text = format!("model_ref: a.gguf\nattest: {attest}\n");
        let path = bench.old_file("model.yaml", text.as_bytes());
        let config = ModelProvisionerConfig::from_path(&path).unwrap();
        let handoff = bench.path("engine.json");
        let refused = bench.provisioner().provision(&config, &path, &handoff).await.unwrap_err();
        assert_eq!(refused.code(), code, "{attest}: {refused}");
        assert!(!handoff.exists() && !bench.path("out").exists(), "{attest}");
    }
    for (attest, expected) in [
        ("{ format: vsa }", "the field `dir` is missing"),
        ("{ dir: out, fromat: vsa }", "unknown field `fromat`"),
        ("{ dir: out, format: spdx }", "spdx"),
        ("{ dir: out, verifier: me }", "it must be a URI"),
    ] {
        let text = format!("model_ref: a.gguf\nattest: {attest}\n");
        let refused = ModelProvisionerConfig::from_yaml(&text, "/c.yaml".as_ref()).unwrap_err();
        assert!(refused.to_string().contains(expected), "{attest}: {refused}");
    }
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
async fn no_statement_overwrites_its_key_or_a_file_of_the_cache() {
    let bench = Fixture::new();
    let reference = pinned(&bench).await;
    let provisioner = bench.provisioner();
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/model-signing/tests/keys/p256.pkcs8.pem");
    let key_file = bench.old_file("key.pem", &fs_err::read(key).unwrap());
    std::os::unix::fs::symlink(bench.path(""), bench.path("link")).unwrap();
    let cache = bench.cache();
    let record = records_below(&cache.join("catalog-v1")).pop().unwrap();
    let dests = [
        key_file.clone(),
        bench.path("link/key.pem"),
        cache.join("provenance.jsonl"),
        cache.join("provenance.lock"),
        cache.join("provenance-1-9.jsonl"),
        cache.join("store-v1/of/none/x.json"),
        cache.join("new/../catalog-v1/x.json"),
        record,
    ];
    for dest in dests {
        let before = fs_err::read(&dest).ok();
        let options = AttestOptions {
            dest: Some(StatementDest::File(dest.clone())),
            ..AttestOptions::signed_by(&key_file).unwrap()
        };
        let refused = provisioner.attest(&reference, &options).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::HandoffInTheWay, "{}: {refused}", dest.display());
        assert_eq!(fs_err::read(&dest).ok(), before, "{}", dest.display());
    }
    let beside = StatementDest::File(cache.join("a.vsa.json"));
    provisioner
        .attest(&reference, &AttestOptions { dest: Some(beside), ..AttestOptions::default() })
        .await
        .unwrap();
}

/// Returns the records below a folder.
fn records_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let paths = |folder: &std::path::Path| -> Vec<_> {
        fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let (folders, files): (Vec<_>, Vec<_>) = paths(folder).into_iter().partition(|path| path.is_dir());
    let deeper = folders.iter().flat_map(|folder| records_below(folder));
    deeper.chain(files).filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
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
