//! The command finds models where the field's other tools keep them, by the rules of each, and needs no network for them.

use std::{path::Path, process::Command};

use testkit::{Hub, HubCache, gguf};

use crate::{
    fixture::{Fixture, finish},
    hub,
    isolation::trace,
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const ID: &str = "hf:org/repo/a.gguf";

fn bytes() -> Vec<u8> {
    gguf("the bytes")
}

/// The SHA-256 of those bytes.
fn digest(bench: &Fixture) -> String {
    let sum = Command::new("sha256sum").arg(bench.file("bytes", bytes())).output().unwrap();
    String::from_utf8(sum.stdout).unwrap()[..64].to_owned()
}

/// Runs the command in a home of its own, with these variables and no others that name folders.
fn command(bench: &Fixture, endpoint: &str, variables: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = hub::command(bench, endpoint, args);
    for name in ["HF_HUB_CACHE", "HF_HOME", "OLLAMA_MODELS"] {
        command.env_remove(name);
    }
    let here = bench.path("");
    let here = here.to_str().unwrap().trim_end_matches('/');
    command.env("DISK", here).envs(variables.iter().map(|(name, text)| (name, text.replace("HERE", here))));
    command
}

#[test]
fn each_tool_is_found_by_its_own_rules() {
    let in_hub = |cache: &Path| {
        let _ = HubCache::new(cache, "org/repo", COMMIT).lfs("a.gguf", bytes());
    };
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", bytes()).publish();
    let check = |place: &str, variables: &[(&str, &str)]| {
        let bench = Fixture::new();
        let place = place.replace("HEX", &digest(&bench));
        match place.strip_suffix("[hub]") {
            Some(cache) => in_hub(&bench.path(cache)),
            None => drop(bench.file(&place, bytes())),
        }
        let done = finish(&mut command(&bench, &hub.endpoint(), variables, &["plan", ID, "--json"]));
        assert!(
            done.stdout.contains(r#""state": "adopt""#),
            "{place} {variables:?}: {}{}",
            done.stdout,
            done.stderr
        );
    };
    check("home/.cache/huggingface/hub[hub]", &[]);
    check("home/hf/hub[hub]", &[("HF_HOME", "~/hf")]);
    check("disk/hf/hub[hub]", &[("HF_HOME", "$DISK/disk/hf")]);
    check("home/hf[hub]", &[("HF_HUB_CACHE", "~/hf")]);
    check("disk[hub]", &[("HUGGINGFACE_HUB_CACHE", "${DISK}/disk")]);
    check("caches/huggingface/hub[hub]", &[("XDG_CACHE_HOME", "HERE/caches")]);
    check("llama[hub]", &[("LLAMA_CACHE", "HERE/llama")]);
    check("llama/org_repo_a.gguf", &[("LLAMA_CACHE", "HERE/llama")]);
    check("home/.cache/llama.cpp/org_repo_a.gguf", &[]);
    check("home/.ollama/models/blobs/sha256-HEX", &[]);
    check("ollama/blobs/sha256-HEX", &[("OLLAMA_MODELS", "HERE/ollama")]);
    check("home/.docker/models/blobs/sha256/HEX", &[]);
    check("models/blobs/sha256/HEX", &[("MODELS_PATH", "HERE/models")]);
    check("home/.local/share/ramalama/store/huggingface/org/repo/blobs/sha256-HEX", &[]);
    check("data/ramalama/store/ollama/library/x/blobs/sha256-HEX", &[("XDG_DATA_HOME", "HERE/data")]);
    check("lama/store/ollama/library/x/blobs/sha256-HEX", &[("RAMALAMA_STORE", "HERE/lama")]);
    check("home/.lmstudio/models/org/repo/a.gguf", &[]);
    check("home/.cache/lm-studio/models/org/repo/a.gguf", &[]);
    check("home/.cache/modelscope/models/org--repo/snapshots/master/a.gguf", &[]);
    check("home/scope/hub/models/org/repo/a.gguf", &[("MODELSCOPE_CACHE", "~/scope")]);
}

#[test]
fn lm_studio_is_where_its_pointer_leads() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", bytes()).publish();
    bench.file("studio/models/org/repo/a.gguf", bytes());
    let pointer = bench.file("home/.lmstudio-home-pointer", bench.path("studio").to_str().unwrap());
    let plan = || finish(&mut command(&bench, &hub.endpoint(), &[], &["plan", ID])).stdout;
    assert!(plan().contains("\nadopt "), "{}", plan());
    for nonsense in [&b"relative"[..], b"\xff", b""] {
        fs_err::write(&pointer, nonsense).unwrap();
        assert!(plan().contains("\nfetch "), "{}", plan());
    }
}

#[test]
fn the_path_of_a_token_is_expanded() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", bytes()).private().publish();
    hub.grant("hf_secret");
    bench.file("home/token", "hf_secret\n");
    let done =
        finish(&mut command(&bench, &hub.endpoint(), &[("HF_TOKEN_PATH", "~/token")], &["ensure", ID]));
    assert_eq!(done.status, 0, "{}", done.stderr);
}

/// Writes a config that allows no network, and makes a cache that has its model.
fn denied(bench: &Fixture) {
    let cache = bench.path("hf/hub");
    HubCache::new(&cache, "org/repo", COMMIT).lfs("a.gguf", bytes()).write_tree();
    bench.file("model.yaml", format!("model_ref: {ID}\nstrict_verification: true\n"));
}

#[test]
fn no_network_is_needed_for_what_the_hub_s_own_tools_have() {
    let bench = Fixture::new();
    denied(&bench);
    let provisioned = bench.json(&["provision", "--config", "model.yaml"]);
    assert_eq!((&provisioned["cached"], &provisioned["revision"]), (&true.into(), &COMMIT.into()));
    let ensured = bench.json(&["ensure", "--offline", "hf:org/repo"]);
    assert_eq!(ensured["verification"]["basis"], "source");
    let reason = ensured["verification"]["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("models--org--repo/trees/{COMMIT}.json")), "{reason}");
    for blob in fs_err::read_dir(bench.path("hf/hub/models--org--repo/blobs")).unwrap() {
        fs_err::remove_file(blob.unwrap().path()).unwrap();
    }
    bench.run(&["remove", ID]);
    bench.run(&["remove", "hf:org/repo"]);
    let lost = bench.run(&["ensure", "--offline", ID]);
    assert_eq!(lost.status, 5);
    assert!(lost.stderr.contains("its file `a.gguf` is not on this machine"), "{}", lost.stderr);
    let denied = bench.run(&["provision", "--config", "model.yaml"]);
    assert!(denied.status == 5 && denied.stderr.contains("policy: { network: allow }"), "{}", denied.stderr);
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn what_the_hub_s_own_tools_have_opens_no_socket() {
    for args in [["ensure", "--offline", ID].as_slice(), &["provision", "--config", "model.yaml"]] {
        let bench = Fixture::new();
        denied(&bench);
        let calls = trace(&bench, "network", args);
        assert!(!calls.contains("AF_INET") && !calls.contains("connect("), "{args:?}: {calls}");
    }
}

#[test]
fn what_other_tools_and_browsers_call_a_model_is_that_model() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a-Q4_K_M.gguf", gguf("main")).publish();
    let pull = hub.repo("org/repo").branch("refs/pr/3").lfs("a-Q4_K_M.gguf", gguf("pull")).publish();
    let model = |reference: &str| {
        let done = hub::run(&bench, &hub, &["ensure", reference, "--json"]);
        assert_eq!(done.status, 0, "{reference}: {}", done.stderr);
        let model: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        let file = model["files"][0]["path"].as_str().unwrap().to_owned();
        assert!(file.ends_with("a-Q4_K_M.gguf"), "{reference}: {model}");
        (model["id"].as_str().unwrap().to_owned(), model["revision"].clone())
    };
    for reference in [
        "hf.co/org/repo:Q4_K_M",
        "HuggingFace.co/org/repo:q4_k_m",
        "https://hf.co/org/repo:Q4_K_M",
        "hf://models/org/repo:Q4_K_M",
    ] {
        assert_eq!(model(reference).0, "hf:org/repo:Q4_K_M");
    }
    for (reference, id) in [
        ("hf://models/org/repo", "hf:org/repo"),
        ("hf.co/org/repo:latest", "hf:org/repo"),
        ("huggingface://org/repo/a-Q4_K_M.gguf", "hf:org/repo/a-Q4_K_M.gguf"),
    ] {
        assert_eq!(model(reference).0, id);
    }
    for reference in [
        "hf:org/repo@refs/pr/3/a-Q4_K_M.gguf",
        "https://huggingface.co/org/repo/blob/refs/pr/3/a-Q4_K_M.gguf",
        "hf:org/repo@refs%2Fpr%2F3/a-Q4_K_M.gguf",
    ] {
        let id = "hf:org/repo@refs%2Fpr%2F3/a-Q4_K_M.gguf";
        assert_eq!(model(reference), (id.to_owned(), pull.as_str().into()), "{reference}");
    }
    let shown = hub::run(&bench, &hub, &["show", "hf.co/org/repo:Q4_K_M"]);
    assert!(
        shown.status == 0 && shown.stdout.contains("hf:org/repo:Q4_K_M"),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
}

#[test]
fn a_hint_in_place_of_another_tools_reference_can_be_pasted() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let commit = hub.repo("org/repo").lfs("a-Q4_K_M.gguf", gguf("main")).publish();
    for reference in
        [format!("hf://org/repo:{commit}"), format!("org/repo:{commit}"), "org/repo:Q4_K_M".to_owned()]
    {
        let refused = hub::run(&bench, &hub, &["ensure", &reference]);
        let hint = refused.stderr.split('`').find(|word| word.starts_with("hf:org/")).expect(&refused.stderr);
        let done = hub::run(&bench, &hub, &["ensure", hint]);
        assert!(refused.status > 1 && done.status == 0, "{reference}: {}{}", refused.stderr, done.stderr);
    }
    for reference in ["hf://datasets/org/set", "https://huggingface.co/datasets/org/set"] {
        let refused = hub::run(&bench, &hub, &["ensure", reference]);
        assert!(refused.status == 2 && refused.stderr.contains("names a dataset"), "{}", refused.stderr);
    }
    assert_eq!(hub.count(|seen| !seen.path.contains("org/repo")), 0, "what is no model is asked of no hub");
}

#[test]
fn a_path_with_the_name_of_the_hub_stays_a_path() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/a.gguf").lfs("x.gguf", gguf("the hub's")).publish();
    let path = bench.file("hf.co/org/a.gguf", bytes());
    let config = bench.file("model.yaml", "model_ref: hf.co/org/a.gguf\n");
    for args in
        [["ensure", "hf.co/org/a.gguf"].as_slice(), &["provision", "--config", config.to_str().unwrap()]]
    {
        let done = hub::run(&bench, &hub, args);
        assert_eq!(done.status, 0, "{}", done.stderr);
    }
    assert_eq!(hub.requests().len(), 0);
    fs_err::remove_file(path).unwrap();
    let done = hub::run(&bench, &hub, &["ensure", "hf.co/org/a.gguf", "--json"]);
    assert!(done.stdout.contains("hf:org/a.gguf"), "{}", done.stderr);
}
