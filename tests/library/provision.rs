//! The library goes from a config to a handoff.

use std::path::Path;
use testkit::TINY_GGUF;

use model_provisioner::{
    Engine, FlashAttention, KvType, MemoryRequest, ModelProvisionerConfig, handoff,
    provision_from_config_to_handoff,
};

use crate::fixture::{Fixture, code, sha256};

fn config(bench: &Fixture, text: &str) -> std::path::PathBuf {
    bench.fresh_file("conf/model.yaml", text.as_bytes())
}

#[test]
fn writes_a_handoff_that_proves_itself() {
    let bench = Fixture::new();
    let model = bench.old_file("conf/tiny.gguf", TINY_GGUF);
    let digest = sha256(TINY_GGUF);
    let yaml = format!(
        "model_ref: tiny.gguf\nexpected_digest: {{ algo: sha256, value: \"{}\" }}\nstrict_verification: true\n",
        digest.hex().to_uppercase()
    );
    let dest = bench.path("out/engine.json");
    let meta = provision_from_config_to_handoff(config(&bench, &yaml), &dest, bench.cache()).unwrap();
    assert_eq!((meta.path.as_path(), meta.size_bytes, meta.ctx_max), (model.as_path(), 24, None));
    assert_eq!(meta.id, format!("local:{}", model.display()));
    let written = handoff::read(&dest).unwrap();
    assert_eq!(written.model.path, model);
    assert_eq!(written.verification.digest, Some(digest));
    written.check().unwrap();
    let line = bench.provenance().pop().unwrap();
    assert_eq!(line["config"], bench.path("conf/model.yaml").to_str().unwrap());
}

#[test]
fn a_handoff_is_never_written_over_its_config() {
    let bench = Fixture::new();
    bench.old_file("conf/m.bin", b"x");
    let text = "model_ref: m.bin\n";
    let path = config(&bench, text);
    let dotted = bench.path("conf/../conf/model.yaml");
    let link = bench.path("conf/link.yaml");
    std::os::unix::fs::symlink("model.yaml", &link).unwrap();
    for (config, dest) in [(&path, &path), (&path, &dotted), (&dotted, &path), (&link, &path), (&path, &link)]
    {
        let refused = provision_from_config_to_handoff(config, dest, bench.cache());
        assert_eq!(code(refused), "handoff-in-the-way", "{} to {}", config.display(), dest.display());
        assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn json_is_yaml() {
    let bench = Fixture::new();
    let model = bench.old_file("m.gguf", TINY_GGUF);
    let json =
        serde_json::json!({ "model_ref": format!("file:{}", model.display()), "strict_verification": false });
    let config = bench.fresh_file("model.json", json.to_string().as_bytes());
    let meta = provision_from_config_to_handoff(config, bench.path("h.json"), bench.cache()).unwrap();
    assert_eq!(meta.path, model);
}

#[test]
fn a_strict_config_without_a_digest_fails_with_the_digest() {
    let bench = Fixture::new();
    bench.old_file("conf/tiny.gguf", TINY_GGUF);
    let path = config(&bench, "model_ref: tiny.gguf\nstrict_verification: true\n");
    let error = provision_from_config_to_handoff(path, bench.path("h.json"), bench.cache()).unwrap_err();
    assert_eq!(error.code().as_str(), "unproven");
    assert!(error.hint().unwrap().to_string().contains(&sha256(TINY_GGUF).hex()));
    assert!(!bench.path("h.json").exists());
}

#[test]
fn bad_configs_are_told_by_line() {
    let bench = Fixture::new();
    let check = |text: &str, says: &[&str]| {
        let path = config(&bench, text);
        let error = ModelProvisionerConfig::from_path(&path).unwrap_err();
        assert_eq!(error.code().as_str(), "invalid-config", "{text}");
        let told = format!("{error} | {}", error.hint().map(|hint| hint.to_string()).unwrap_or_default());
        assert!(says.iter().all(|part| told.contains(part)), "{text:?}: {told}");
    };
    check(
        "model_ref: a\nstrict_verificaton: true\n",
        &["line 2", "`strict_verificaton`", "`strict_verification`"],
    );
    check("model_ref: a\npolicy: { netwrok: allow }\n", &["line 2", "`network`"]);
    check("model_ref: a\nzzz: 1\n", &["line 2", "the fields here are model_ref"]);
    check("model_ref: [\n", &["line 1: a text is expected"]);
    check("{\"model_ref\": \"a\", \"stri", &[]);
    check("strict_verification: true\n", &["line 1: the field `model_ref` is missing"]);
    check("model_ref: a\nmodel_ref: b\n", &["line 2", "model_ref"]);
    check("model_ref: a\nexpected_digest: { algo: md5, value: aa }\n", &["md5"]);
    check("model_ref: a\nexpected_digest: { algo: sha256, value: aa }\n", &["64 hex digits"]);
    check("model_ref: a\nexpected_digest:\n", &["line 2"]);
    check("", &["it ends where something is expected"]);
    check("model_ref:\n", &["line 1: a value is missing"]);
    check("a.gguf\n", &["line 1: fields are expected, each as `name: value`"]);
    let second = |text: &str, says: &[&str]| check(&format!("model_ref: a\n{text}\n"), says);
    second("expected_digest: aa", &["line 2: fields are expected"]);
    second("strict_verification: maybe", &["line 2: `true` or `false` is expected"]);
    second("policy: { max_bytes: 5X }", &["line 2: a size is written 500K, 50M or 2GiB"]);
    second("policy: { max_files: 5G }", &["line 2: a whole number is expected, without a unit"]);
    second("policy: { network: alow }", &["unknown value `alow`", "did you mean `allow`?"]);
    second("adopt: { mode: x }", &["unknown value `x`", "the values here are link, copy, off"]);
    check(&"[".repeat(100_000), &[]);
    check(&format!("model_ref: {}\n", "x".repeat(2 << 20)), &["1 MiB"]);
    assert_eq!(code(ModelProvisionerConfig::from_path(Path::new("/no/such.yaml"))), "not-found");
}

#[test]
fn the_policy_of_the_config_is_kept() {
    let bench = Fixture::new();
    bench.old_file("conf/tiny.gguf", TINY_GGUF);
    let run = |policy: &str| {
        let path = config(&bench, &format!("model_ref: tiny.gguf\npolicy: {policy}\n"));
        provision_from_config_to_handoff(path, bench.path("h.json"), bench.cache())
    };
    assert_eq!(code(run("{ schemes: [hf] }")), "denied");
    assert_eq!(code(run("{ formats: [safetensors] }")), "denied");
    assert_eq!(code(run("{ max_bytes: 23 }")), "denied");
    assert!(run("{ network: deny, formats: [gguf], max_bytes: 24 }").is_ok());
    assert_eq!(code(run("{ formats: [safetensors] }")), "denied", "a present model too");
    assert_eq!(code(run("{ max_bytes: 23 }")), "denied");
}

#[test]
fn a_handoff_never_overwrites_what_it_is_about() {
    let bench = Fixture::new();
    let model = bench.old_file("conf/tiny.gguf", TINY_GGUF);
    let path = config(&bench, "model_ref: tiny.gguf\n");
    std::os::unix::fs::symlink(&model, bench.path("link.json")).unwrap();
    let cached = [bench.cache().join("provenance.jsonl"), bench.cache().join("store-v1/new/h.json")];
    let named = [&model, &path, &bench.path("link.json"), &bench.path("conf/../conf/tiny.gguf")];
    for dest in named.into_iter().chain(&cached) {
        let refused = code(provision_from_config_to_handoff(&path, dest, bench.cache()));
        assert_eq!(refused, "handoff-in-the-way", "{}", dest.display());
    }
    bench.old_file("repo/weights", b"one");
    let folder = bench.fresh_file("folder.yaml", b"model_ref: repo\n");
    let inside = bench.path("repo/handoff.json");
    assert_eq!(code(provision_from_config_to_handoff(folder, &inside, bench.cache())), "handoff-in-the-way");
    assert!(!inside.exists());
    std::os::unix::fs::symlink("/nowhere", bench.path("dangling.json")).unwrap();
    let dangling = bench.path("dangling.json");
    assert_eq!(code(provision_from_config_to_handoff(&path, &dangling, bench.cache())), "storage-failed");
    assert_eq!(fs_err::read(model).unwrap(), TINY_GGUF);
}

#[test]
fn what_must_fit_is_asked_for_as_the_config_says() {
    let request = |fit: &str| {
        let yaml = format!("model_ref: hf:org/repo\nfit: {fit}\n");
        let config = ModelProvisionerConfig::from_yaml(&yaml, Path::new("/conf/model.yaml")).unwrap();
        format!("{:?}", config.fit.unwrap().request())
    };
    let all =
        "{ vram: 24GiB, ctx: 8192, parallel: 2, kv_type: q8_0, engine: vllm, ubatch: 64, flash_attn: on }";
    let expected = MemoryRequest {
        ctx: Some(8192),
        parallel: 2,
        kv_type: KvType::Q8_0,
        vram_bytes: Some(24 << 30),
        engine: Some(Engine::Vllm),
        tokens_at_once: Some(64),
        flash_attn: FlashAttention::On,
    };
    assert_eq!(request(all), format!("{expected:?}"));
    let least = MemoryRequest { vram_bytes: Some(1 << 30), parallel: 1, ..MemoryRequest::default() };
    assert_eq!(request("{ vram: 1GiB }"), format!("{least:?}"));
}
