//! The library reads a model's headers once, keeps the facts in the record, and writes them into the handoff.

use std::path::{Path, PathBuf};

use model_provisioner::{MemoryFacts, ModelFacts, Outcome, handoff, provision_from_config_to_handoff};
use testkit::FakeModel;

use crate::fixture::{Fixture, reference};

#[track_caller]
fn are_those_of_tiny(facts: &ModelFacts) {
    let texts =
        [&facts.architecture, &facts.name, &facts.quantization, &facts.tokenizer_model, &facts.license];
    let expected = ["llama", "Tiny", "F16", "llama", "cc0-1.0"];
    assert_eq!(texts.map(Option::as_deref), expected.map(Some));
    let numbers =
        [facts.ctx_max, facts.layers, facts.heads, facts.kv_heads, facts.embedding_length, facts.shards];
    assert_eq!(numbers, [256, 1, 2, 1, 32, 1].map(Some));
    assert_eq!(facts.has_chat_template, Some(true));
    // One layer, one head of 16 for keys and one for values, in 16 bits each.
    let Some(MemoryFacts { weights_bytes: Some(weights), kv_bytes_per_token: Some(64) }) = facts.memory
    else {
        panic!("{:?}", facts.memory)
    };
    assert!(weights > facts.parameter_count.unwrap(), "{weights} bytes");
}

#[tokio::test]
async fn are_kept_in_the_record() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", &FakeModel::gguf().to_bytes()));
    are_those_of_tiny(&bench.provisioner().ensure_present(&path, None).await.unwrap().facts);
    let warm = bench.provisioner().ensure_present(&path, None).await.unwrap();
    assert!(warm.cached);
    are_those_of_tiny(&warm.facts);
    are_those_of_tiny(&bench.provisioner().locate(&path).await.unwrap().unwrap().facts);
}

#[tokio::test]
async fn a_record_of_an_older_release_gets_them_when_it_is_judged() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", &FakeModel::gguf().to_bytes()));
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&path, None).await.unwrap();
    let record = only_record(&bench.cache().join("catalog-v1"));
    let mut json: serde_json::Value = serde_json::from_slice(&fs_err::read(&record).unwrap()).unwrap();
    let kept = if json.get("facts").is_some() { &mut json } else { &mut json["record"] };
    assert!(kept.as_object_mut().unwrap().remove("facts").is_some(), "{kept}");
    fs_err::write(&record, json.to_string()).unwrap();
    let old = provisioner.ensure_present(&path, None).await.unwrap();
    assert!(old.cached && old.facts == ModelFacts::default());
    assert_eq!(provisioner.verify(&path).await.unwrap().outcome, Outcome::Pass);
    are_those_of_tiny(&provisioner.ensure_present(&path, None).await.unwrap().facts);
}

/// The one file of a record below the catalog's folder.
fn only_record(folder: &Path) -> PathBuf {
    let paths = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let folders = paths.filter(|path| path.is_dir()).flat_map(|path| fs_err::read_dir(path).unwrap());
    let mut records = folders.map(|entry| entry.unwrap().path());
    records.find(|path| path.extension().is_some_and(|ending| ending == "json")).unwrap()
}

#[test]
fn are_handed_on() {
    let bench = Fixture::new();
    bench.old_file("tiny.gguf", &FakeModel::gguf().to_bytes());
    let config = bench.fresh_file("model.yaml", b"model_ref: tiny.gguf\n");
    let dest = bench.path("engine.json");
    let meta = provision_from_config_to_handoff(config, &dest, bench.cache()).unwrap();
    assert_eq!(meta.ctx_max, Some(256));
    are_those_of_tiny(&meta.facts);
    are_those_of_tiny(&handoff::read(&dest).unwrap().metadata.facts);
    let json: serde_json::Value = serde_json::from_slice(&fs_err::read(&dest).unwrap()).unwrap();
    let metadata = &json["metadata"];
    assert_eq!((&metadata["ctx_max"], &metadata["format"]), (&256.into(), &"gguf".into()));
    assert_eq!(metadata["memory"]["kv_bytes_per_token"], 64);
}
