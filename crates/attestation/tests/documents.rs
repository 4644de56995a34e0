//! What is stated of a model is what its record says.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use attestation::{
    Bom, Circumstances, Error, LogLine, POLICIES_KEY, RECORD_KEY, StatedModel, Statement, VERIFIER_ID,
};
use provisioner_core::{CatalogRecord, Digest, ModelRef, PolicyDocument};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Returns the record of two files, of which a test changes what it is about.
fn record(change: impl Fn(&mut Value)) -> CatalogRecord {
    let file = |path: &str, byte: &str| {
        json!({ "path": path, "settled": true, "format": "safetensors",
            "sha256": { "algo": "sha256", "value": byte.repeat(32) },
            "stamp": { "size": 7, "dev": 1, "inode": 2, "mtime_ns": 3, "ctime_ns": 4 } })
    };
    let mut record = json!({
        "id": "hf:org/repo", "local_path": "/cache/view", "lifecycle": "Active", "revision": COMMIT,
        "size_bytes": 14, "format": "safetensors",
        "facts": { "architecture": "llama", "heads": 32, "license": "apache-2.0", "quantization": "BF16" },
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "files": [file("config.json", "ab"), file("sub/model.safetensors", "cd")],
        "verification": { "outcome": "pass", "basis": "source", "reason": "r", "verified_at": "2026-01-02T03:04:05Z" },
    });
    change(&mut record);
    serde_json::from_value(record).unwrap()
}

fn reference(id: &str) -> ModelRef {
    ModelRef::parse(id, None).unwrap()
}

fn statement(record: &CatalogRecord, circumstances: Circumstances) -> Value {
    let reference = reference(&record.id);
    serde_json::to_value(Statement::of(&StatedModel::new(&reference, record).unwrap(), circumstances))
        .unwrap()
}

fn bom(record: &CatalogRecord) -> Value {
    let reference = reference(&record.id);
    serde_json::to_value(Bom::of(&StatedModel::new(&reference, record).unwrap(), "0.1.0")).unwrap()
}

#[test]
fn a_summary_names_files_policy_basis_and_line() {
    let policy = PolicyDocument::new("/etc/policy.yaml", "version: 1\n");
    // printf 'version: 1\n' | sha256sum
    let sha256 = "09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847";
    let circumstances = Circumstances {
        version: "0.1.0".into(),
        policies: vec![policy],
        line: Some(LogLine { seq: 17, line: "sha256:00".into() }),
        ..Circumstances::default()
    };
    let statement = statement(&record(|_| ()), circumstances);
    // printf '%s  %s\n' abab… config.json cdcd… sub/model.safetensors | sha256sum
    let tree = "6e936579eff502f6c03f0c92a3442fd892265930cd93231989acd7b9a3eca586";
    assert_eq!(statement["subject"][2], json!({ "name": "hf:org/repo", "digest": { "dirHash": tree } }));
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/verification_summary/v1");
    assert_eq!(
        statement["subject"][1],
        json!({ "name": "sub/model.safetensors", "digest": { "sha256": "cd".repeat(32) } })
    );
    let predicate = &statement["predicate"];
    assert_eq!(
        predicate["verifier"],
        json!({ "id": VERIFIER_ID, "version": { "model-provisioner": "0.1.0" } })
    );
    assert_eq!(predicate["timeVerified"], "2026-01-02T03:04:05Z");
    assert_eq!(predicate["resourceUri"], format!("pkg:huggingface/org/repo@{COMMIT}"));
    assert_eq!(
        predicate["policy"],
        json!({ "uri": "file:///etc/policy.yaml", "digest": { "sha256": sha256 } })
    );
    assert!(predicate.get(POLICIES_KEY).is_none(), "the one policy stands in the place of the specification");
    assert!(predicate.get("inputAttestations").is_none(), "no signature was verified");
    assert_eq!(predicate["verificationResult"], "PASSED");
    assert_eq!(predicate["verifiedLevels"], json!(["MODEL_DIGEST_FROM_SOURCE"]));
    assert_eq!(predicate[RECORD_KEY], json!({ "seq": 17, "line": "sha256:00" }));
}

#[test]
fn several_policies_are_all_named() {
    let policies = ["/etc/one policy.yaml", "/etc/two.yaml"].map(|path| PolicyDocument::new(path, path));
    let circumstances = Circumstances { policies: policies.to_vec(), ..Circumstances::default() };
    let predicate = &statement(&record(|_| ()), circumstances)["predicate"];
    let sha256 = |text: &str| Digest::sha256_of(text.as_bytes()).hex();
    let one = json!({ "uri": "file:///etc/one%20policy.yaml", "digest": { "sha256": sha256("/etc/one policy.yaml") } });
    let two = json!({ "uri": "file:///etc/two.yaml", "digest": { "sha256": sha256("/etc/two.yaml") } });
    assert_eq!(predicate["policy"], one);
    assert_eq!(predicate[POLICIES_KEY], json!([one, two]));
}

/// The URI of a signature leads to where it is: in a repository, in a folder, beside a file, or where the caller says.
#[test]
fn the_signatures_that_hold_are_inputs_of_the_verdict() {
    #[track_caller]
    fn check(id: &str, entry: Option<&str>, file: &str, expected: &str) {
        let signature = json!({ "signer": { "kind": "key", "fingerprint": "00" }, "file": file,
            "sha256": { "algo": "sha256", "value": "ef".repeat(32) } });
        let record = record(|record| {
            record["id"] = id.into();
            record["entry"] = entry.map_or(Value::Null, Value::from);
            record["signatures"] = json!([signature]);
        });
        let stated = statement(&record, Circumstances::default());
        let inputs = json!([{ "uri": expected, "digest": { "sha256": "ef".repeat(32) } }]);
        assert_eq!(stated["predicate"]["inputAttestations"], inputs, "{id} {file}");
    }
    let in_repository = format!("pkg:huggingface/org/repo@{COMMIT}#model.sig");
    check("hf:org/repo", None, "model.sig", &in_repository);
    check("hf:org/repo/sub/model.safetensors", Some("sub/model.safetensors"), "model.sig", &in_repository);
    check("local:/models/a b", None, "model.sig", "file:///models/a%20b/model.sig");
    check("local:/models/a.gguf", Some("a.gguf"), "a.gguf.sig", "file:///models/a.gguf.sig");
    check("hf:org/repo", None, "/keys/lab.bundle", "file:///keys/lab.bundle");
    check("mem:shelf", None, "model.sig", &format!("mem:shelf@{COMMIT}/model.sig"));
}

#[test]
fn each_basis_has_a_level_of_its_own() {
    for (basis, level) in [
        ("pinned", "MODEL_DIGEST_PINNED"),
        ("signed", "MODEL_SIGNED"),
        ("source", "MODEL_DIGEST_FROM_SOURCE"),
        ("first-use", "MODEL_DIGEST_FIRST_USE"),
    ] {
        let record = record(|record| record["verification"]["basis"] = basis.into());
        let statement = statement(
            &record,
            Circumstances { verifier_id: "https://example.org/me".into(), ..Circumstances::default() },
        );
        let predicate = &statement["predicate"];
        assert_eq!(predicate["verifiedLevels"], json!([level]));
        assert_eq!(predicate["verifier"]["id"], "https://example.org/me");
        assert!(
            predicate["policy"]["uri"].as_str().unwrap().starts_with("https://"),
            "a policy is always named"
        );
        assert!(predicate.get(RECORD_KEY).is_none());
    }
}

#[test]
fn nothing_is_stated_of_a_model_that_failed_or_was_not_read() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let record = record(change);
        StatedModel::new(&reference(&record.id), &record).unwrap_err()
    };
    assert_eq!(refused(&|record| record["files"] = json!([])), Error::NoFiles);
    assert_eq!(
        refused(&|record| record["verification"]["outcome"] = "fail".into()),
        Error::Failed { reason: "r".into() }
    );
    let unread = refused(&|record| record["files"][1]["sha256"] = Value::Null);
    assert_eq!(unread.to_string(), "the digest of `sub/model.safetensors` is not known");
}

#[test]
fn a_bill_of_materials_is_the_same_each_time() {
    let first = bom(&record(|_| ()));
    assert_eq!(first, bom(&record(|_| ())));
    let component = &first["components"][0];
    assert_eq!(component["type"], "machine-learning-model");
    assert_eq!(component["name"], "org/repo");
    assert_eq!(component["purl"], format!("pkg:huggingface/org/repo@{COMMIT}"));
    assert_eq!(component["licenses"], json!([{ "license": { "id": "Apache-2.0" } }]));
    assert_eq!(
        component["modelCard"]["modelParameters"],
        json!({ "architectureFamily": "transformer", "modelArchitecture": "llama" })
    );
    assert_eq!(
        component["components"][0]["hashes"],
        json!([{ "alg": "SHA-256", "content": "ab".repeat(32) }])
    );
    assert_eq!(component["components"].as_array().unwrap().len(), 2);
    assert!(component.get("hashes").is_none(), "a set has no SHA-256 of its own");
    let other = bom(&record(|record| record["files"][0]["sha256"]["value"] = "ef".repeat(32).into()));
    assert_ne!(first["serialNumber"], other["serialNumber"]);
    let named = bom(&record(|record| record["facts"]["license"] = "llama3".into()));
    assert_eq!(named["components"][0]["licenses"], json!([{ "license": { "name": "llama3" } }]));
}
