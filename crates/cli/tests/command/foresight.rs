//! The command refuses a model by its listing before the first byte: for a digest that cannot match, and for a policy.

use std::process::Command;

use serde_json::Value;
use testkit::{Hub, gguf, gguf_of, safetensors};

use crate::{
    fixture::{Finished, Fixture},
    hub::{is_clean, run},
};

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Makes a hub with a model of one file, a set of shards, a repository whose small files have no SHA-256, and a pickle.
fn hub() -> Hub {
    let hub = Hub::start();
    hub.repo("org/one").lfs("a.gguf", gguf_of(100_000, 7)).publish();
    hub.repo("org/set").lfs("model.safetensors", safetensors("a")).lfs("tokenizer.json", "{}").publish();
    hub.repo("org/mixed").lfs("a.safetensors", safetensors("a")).file("vocab.txt", "{}").publish();
    hub.repo("org/small").file("a.gguf", gguf(vec![7; 300_000])).publish();
    hub.repo("org/other").file("a.gguf", gguf(vec![8; 300_000])).publish();
    hub.repo("org/pickle").lfs("pytorch_model.bin", "x").file("config.json", "{}").publish();
    hub
}

fn moved_nothing(hub: &Hub) -> bool {
    hub.count(|seen| seen.file.is_some()) == 0
}

fn error(done: &Finished) -> Value {
    serde_json::from_str::<Value>(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr))["error"].take()
}

#[test]
fn a_digest_that_the_listing_contradicts_costs_no_download() {
    let (bench, hub) = (Fixture::new(), hub());
    let done = run(&bench, &hub, &["ensure", "hf:org/one/a.gguf", "--sha256", ZEROS, "--json"]);
    assert_eq!((done.status, &error(&done)["code"]), (4, &"digest-mismatch".into()), "{}", done.stdout);
    let message = error(&done)["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("expected sha256:{ZEROS} (pinned)")), "{message}");
    let (_, listed) = message.rsplit_once("lists sha256:").unwrap();
    assert!(error(&done)["hint"].as_str().unwrap().ends_with(&format!("`--sha256 {listed}`")), "{message}");
    assert!(moved_nothing(&hub));
    is_clean(&bench);
    let pinned = run(&bench, &hub, &["ensure", "hf:org/one/a.gguf", "--sha256", listed, "--strict"]);
    assert_eq!(pinned.status, 0, "what it lists can be pinned: {}", pinned.stderr);
}

#[test]
fn a_digest_of_one_file_is_refused_for_a_set_before_it_is_fetched() {
    let (bench, hub) = (Fixture::new(), hub());
    let done = run(&bench, &hub, &["ensure", "hf:org/set", "--sha256", ZEROS]);
    assert_eq!(done.status, 2, "{}", done.stderr);
    assert!(done.stderr.contains("set of 2, which has sha256-tree:"), "{}", done.stderr);
    assert!(done.stderr.contains("  model.safetensors\n") && moved_nothing(&hub), "{}", done.stderr);
    let (_, tree) = done.stderr.split_once("`--digest ").unwrap();
    let tree = tree.split_once('`').unwrap().0;
    let wrong = format!("sha256-tree:{ZEROS}");
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/set", "--digest", &wrong]).status, 4);
    assert!(moved_nothing(&hub));
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/set", "--digest", tree]).status, 0);
    let mixed = run(&bench, &hub, &["ensure", "hf:org/mixed", "--sha256", ZEROS]);
    assert_eq!(mixed.status, 2);
    assert!(mixed.stderr.contains("  vocab.txt\n") && mixed.stderr.contains("`model-provisioner show`"));
    assert_eq!(hub.count(|seen| seen.file.as_deref() == Some("vocab.txt")), 0);
}

#[test]
fn bytes_that_failed_an_expectation_are_counted_and_can_be_used() {
    let (bench, hub) = (Fixture::new(), hub());
    let ensure = |digest: &str| run(&bench, &hub, &["ensure", "hf:org/small/a.gguf", "--sha256", digest]);
    let failed = ensure(ZEROS);
    assert_eq!(failed.status, 4, "the listing has only the id that git gave it: {}", failed.stderr);
    let used = bench.json(&["doctor"])["used_bytes"].as_u64().unwrap();
    assert!(used > 300_000, "{used}");
    let (_, actual) = failed.stderr.rsplit_once("--sha256 ").unwrap();
    hub.reset_counts();
    assert_eq!(ensure(actual.trim_end().trim_end_matches('`')).status, 0);
    assert!(moved_nothing(&hub), "they were kept for the digest that they have");
    is_clean(&bench);
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/other/a.gguf", "--sha256", ZEROS]).status, 4);
    let (partial, long_ago) = (bench.cache().join("store-v1/partial"), "8 days ago");
    let aged = Command::new("find").arg(partial).args(["-exec", "touch", "-d", long_ago, "{}", "+"]).status();
    assert!(aged.unwrap().success());
    let freed = bench.json(&["gc"])["freed_bytes"].as_u64().unwrap();
    assert!(freed > 300_000, "after a week, no caller goes on with them: {freed}");
    is_clean(&bench);
}

#[test]
fn a_plan_says_what_policy_says() {
    let (bench, hub) = (Fixture::new(), hub());
    for command in ["plan", "ensure"] {
        let done = run(&bench, &hub, &[command, "hf:org/pickle", "--include", "*", "--json"]);
        assert_eq!((done.status, &error(&done)["code"]), (5, &"refused-format".into()), "{command}");
        let hint = error(&done)["hint"].as_str().unwrap().to_owned();
        assert!(hint.contains("policy: { formats: [pickle, "), "{hint}");
    }
    assert!(moved_nothing(&hub));
}

#[test]
fn a_plan_of_a_present_model_says_what_policy_says() {
    let bench = Fixture::new();
    bench.file("m.pkl", "x");
    bench.file("model.yaml", "model_ref: m.pkl\npolicy: { formats: [pickle, other] }\n");
    assert_eq!(bench.run(&["plan", "m.pkl"]).status, 5);
    assert_eq!(bench.run(&["provision", "--config", "model.yaml", "-q"]).status, 0);
    for command in ["plan", "ensure"] {
        assert_eq!(bench.run(&[command, "m.pkl"]).status, 5, "{command}: no config allows it here");
    }
}

#[test]
fn what_an_engine_may_miss_is_a_warning_and_in_the_document() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub.repo("org/omni").lfs("model.safetensors", safetensors("a"));
    repo.file("config.json", "{}").file("spk_dict.pt", "voices").publish();
    let done = run(&bench, &hub, &["ensure", "hf:org/omni", "--json"]);
    let document: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
    assert_eq!(document["notices"][0]["kind"], "pickles-denied", "{document}");
    assert!(document["notices"][0]["hint"].as_str().unwrap().contains("formats: [pickle"), "{document}");
    let lines: Vec<_> = done.stderr.lines().filter(|line| line.contains("spk_dict.pt")).collect();
    assert!(matches!(lines.as_slice(), [only] if only.starts_with("warning: `hf:org/omni`: ")), "{lines:?}");
    let again = run(&bench, &hub, &["ensure", "hf:org/omni", "--json"]);
    assert!(!again.stderr.contains("spk_dict.pt"), "a present model is told of once: {}", again.stderr);
    let kind = &serde_json::from_str::<Value>(&again.stdout).unwrap()["notices"][0]["kind"];
    assert_eq!(kind, "pickles-denied");
}

#[test]
fn what_a_policy_allows_since_comes_with_the_refresh_that_a_warning_names() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub.repo("org/omni").lfs("model.safetensors", safetensors("a"));
    repo.file("config.json", "{}").file("spk_dict.pt", "voices").publish();
    let policy = bench.file("policy.yaml", "version: 1\nformats: [pickle, safetensors, other]\n");
    let allowed =
        |args: &[&str]| run(&bench, &hub, &[args, &["--policy", policy.to_str().unwrap()]].concat());
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/omni"]).status, 0);
    let present = allowed(&["ensure", "hf:org/omni"]);
    let told = "hint: `model-provisioner ensure hf:org/omni --refresh`, under the same policy, chooses its files anew";
    assert!(present.stderr.contains("`spk_dict.pt`") && present.stderr.contains(told), "{}", present.stderr);
    let folder = std::path::Path::new(present.stdout.trim());
    assert!(!folder.join("spk_dict.pt").exists(), "a present model is not changed");
    let refreshed = allowed(&["ensure", "hf:org/omni", "--refresh"]);
    assert_eq!((refreshed.status, refreshed.stdout), (0, present.stdout.clone()), "{}", refreshed.stderr);
    assert!(
        folder.join("spk_dict.pt").exists() && !refreshed.stderr.contains("warning"),
        "{}",
        refreshed.stderr
    );
    assert_eq!(allowed(&["ensure", "hf:org/omni"]).stderr.matches("hint").count(), 0);
}

#[test]
fn an_adapter_is_inspected_with_its_base_model() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub.repo("org/adapter").lfs("adapter_model.safetensors", safetensors("a"));
    repo.file("adapter_config.json", r#"{"base_model_name_or_path": "org/base", "peft_type": "LORA"}"#)
        .publish();
    let done = run(&bench, &hub, &["inspect", "hf:org/adapter", "--json"]);
    let document: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
    assert_eq!(document["base_models"][0], "org/base", "{document}");
    let card = run(&bench, &hub, &["inspect", "hf:org/adapter"]).stdout;
    assert!(
        card.lines().any(|line| line.starts_with("base model ") && line.ends_with(" org/base")),
        "{card}"
    );
}
