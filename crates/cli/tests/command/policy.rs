//! The operator's policy: `--policy`, `MODEL_PROVISIONER_POLICY`, and what they do to every other option and config.

use serde_json::Value;
use testkit::{Hub, gguf, hub::Origin};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub,
    isolation::trace_failing,
};

fn published() -> Hub {
    let hub = Hub::start();
    hub.repo("org/repo").license("mit").lfs("a.gguf", gguf("one")).publish();
    hub
}

/// Writes a policy, and returns its path.
fn policy(bench: &Fixture, name: &str, rules: &str) -> String {
    bench.file(name, format!("version: 1\n{rules}\n")).display().to_string()
}

#[track_caller]
fn denied(done: &Finished, rule: &str, place: &str) {
    assert_eq!(done.status, 5, "{}{}", done.stdout, done.stderr);
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    let error = &document["error"];
    assert_eq!((error["code"].as_str(), error["rule"].as_str()), (Some("denied"), Some(rule)), "{error}");
    assert!(error["where"].as_str().unwrap().ends_with(place), "{error}");
    assert!(error["value"].is_string() && error["message"].is_string() && error["retriable"] == false);
    assert!(error["hint"].is_string(), "{error}");
    let place = error["where"].as_str().unwrap();
    assert!(done.stderr.contains(place), "the text names it too: {}", done.stderr);
}

#[test]
fn a_denial_names_the_rule_the_value_and_the_file() {
    let (bench, hub) = (Fixture::new(), published());
    for (rules, rule) in [
        ("network: deny", "network"),
        ("schemes: [local]", "schemes"),
        ("repos: [\"hf:other/*\"]", "repos"),
        ("hosts: [\"huggingface.co\"]", "hosts"),
        ("licenses: [apache-2.0]", "licenses"),
        ("formats: [safetensors]", "formats"),
        ("max_bytes: 3", "max_bytes"),
        ("max_files: 0", "max_files"),
    ] {
        let path = policy(&bench, "policy.yaml", rules);
        denied(
            &hub::run(&bench, &hub, &["ensure", "hf:org/repo/a.gguf", "--policy", &path, "--json"]),
            rule,
            &format!("policy.yaml: {rule}"),
        );
    }
    assert_eq!(hub.count(|seen| seen.origin == Origin::Cdn), 0);
    let path =
        policy(&bench, "policy.yaml", "network: allow\nlicenses: [mit]\nformats: [gguf]\nmax_bytes: 1G");
    let done = hub::run(&bench, &hub, &["ensure", "hf:org/repo/a.gguf", "--policy", &path]);
    assert_eq!(done.status, 0, "{}", done.stderr);
}

#[test]
fn no_option_and_no_config_loosens_the_operators_file() {
    let (bench, hub) = (Fixture::new(), published());
    let strict = policy(&bench, "strict.yaml", "network: deny");
    let loose = policy(&bench, "loose.yaml", "network: allow\nschemes: [hf, local]");
    let under = |args: &[&str], variable: &str| {
        let mut command = hub::command(&bench, &hub.endpoint(), args);
        finish(command.env("MODEL_PROVISIONER_POLICY", variable))
    };
    let ensure = ["ensure", "hf:org/repo/a.gguf", "--json"];
    denied(&under(&ensure, &strict), "network", "strict.yaml: network");
    denied(
        &under(&[&ensure[..], &["--policy", &loose]].concat(), &strict),
        "network",
        "strict.yaml: network",
    );
    denied(
        &under(&[&ensure[..], &["--policy", &strict]].concat(), &loose),
        "network",
        "strict.yaml: network",
    );
    let both = ["--policy", &loose, "--policy", &strict];
    denied(&hub::run(&bench, &hub, &[&ensure[..], &both].concat()), "network", "strict.yaml: network");
    bench.file("model.yaml", "model_ref: hf:org/repo/a.gguf\npolicy: { network: allow }\n");
    let provision = ["provision", "--config", "model.yaml", "--json"];
    denied(&under(&provision, &strict), "network", "strict.yaml: network");
    assert_eq!(hub.requests().len(), 0);
    // Nor does the operator's file loosen a config.
    bench.file("closed.yaml", "model_ref: hf:org/repo/a.gguf\n");
    let closed = under(&["provision", "--config", "closed.yaml", "--json"], &loose);
    denied(&closed, "network", "closed.yaml: policy.network");
    assert_eq!(under(&provision, &loose).status, 0);
    // A present model needs no network.
    assert_eq!(under(&ensure, &strict).status, 0);
}

#[test]
fn a_policy_that_cannot_be_used_denies_everything_and_doctor_says_so() {
    let bench = Fixture::new();
    let model = bench.file("a.gguf", gguf("one")).display().to_string();
    let broken = bench.file("broken.yaml", "version: 1\nnetwrok: deny\n").display().to_string();
    for path in [broken.as_str(), "absent.yaml", "."] {
        let done = bench.run(&["ensure", &model, "--policy", path, "--json"]);
        assert_eq!(done.status, 5, "{path}: {}{}", done.stdout, done.stderr);
        let document: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(document["error"]["code"], "denied");
        assert_eq!(document["error"]["rule"], "policy");
    }
    let done = bench.run(&["ensure", &model, "--policy", &broken]);
    assert!(done.stderr.contains("broken.yaml") && done.stderr.contains("line 2"), "{}", done.stderr);
    assert!(done.stderr.contains("did you mean `network`?"), "{}", done.stderr);
    let plan = bench.run(&["plan", &model, "--policy", &broken]);
    assert!(plan.status == 5 && plan.stdout.contains("denied    policy"), "{}", plan.stdout);
    let allowed: Vec<_> = plan.stdout.lines().filter(|line| line.starts_with("allowed")).collect();
    assert!(allowed.iter().all(|line| !line.contains("broken.yaml")), "{allowed:?}");
    let doctor = bench.run(&["doctor", "--policy", &broken]);
    assert!(
        doctor.status != 0 && doctor.stdout.contains("line 2: unknown field `netwrok`"),
        "{}",
        doctor.stdout
    );
}

#[test]
fn doctor_shows_each_rule_and_where_it_stands() {
    let bench = Fixture::new();
    let one = policy(&bench, "one.yaml", "schemes: [local]\nmax_bytes: 200G");
    let two = policy(&bench, "two.yaml", "network: deny");
    let document = bench.json(&["doctor", "--policy", &one, "--policy", &two, "--offline"]);
    let rules: Vec<_> = document["policy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let place = rule["where"].as_str().unwrap();
            (rule["rule"].as_str().unwrap(), rule["value"].clone(), place.rsplit('/').next().unwrap())
        })
        .collect();
    let expected = [
        ("network", "offline".into(), "--offline or MODEL_PROVISIONER_OFFLINE"),
        ("max_bytes", 200_000_000_000_u64.into(), "one.yaml: max_bytes"),
        ("schemes", serde_json::json!(["local"]), "one.yaml: schemes"),
        ("network", "deny".into(), "two.yaml: network"),
    ];
    assert_eq!(rules, expected);
    let text = bench.run(&["doctor", "--policy", &one]).stdout;
    assert!(text.contains("schemes: [\"local\"]  (") && text.contains("one.yaml: schemes)"), "{text}");
}

#[test]
fn a_plan_shows_every_verdict_and_where_it_stands() {
    let (bench, hub) = (Fixture::new(), published());
    let path = policy(&bench, "policy.yaml", "licenses: [apache-2.0]\nmax_bytes: 3\nformats: [gguf]");
    let done = hub::run(&bench, &hub, &["plan", "hf:org/repo/a.gguf", "--policy", &path, "--json"]);
    assert_eq!(done.status, 5, "{}", done.stderr);
    let plan: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(plan["files"][0]["path"], "a.gguf");
    let verdict = |rule: &str| {
        let verdicts = plan["policy"].as_array().unwrap();
        let found = verdicts.iter().find(|verdict| verdict["rule"] == rule).unwrap();
        let place = found["where"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned();
        (found["value"].as_str().unwrap().to_owned(), found["allowed"].as_bool().unwrap(), place)
    };
    assert_eq!(verdict("licenses"), ("mit".into(), false, "policy.yaml: licenses".into()));
    assert!(!verdict("max_bytes").1, "the second denial too");
    assert_eq!(verdict("formats"), ("gguf".into(), true, "policy.yaml: formats".into()));
    assert_eq!(verdict("network"), ("hf:org/repo/a.gguf".into(), true, "default".into()));
    assert_eq!(verdict("schemes").2, "", "no policy has that rule");
    let text = hub::run(&bench, &hub, &["plan", "hf:org/repo/a.gguf", "--policy", &path]);
    assert!(text.stdout.contains("denied    licenses: mit, by `"), "{}", text.stdout);
    assert!(text.stdout.contains("allowed   formats: gguf, by `"), "{}", text.stdout);
    assert_eq!(hub.count(|seen| seen.origin == Origin::Cdn), 0);
    assert!(bench.cache_files().is_empty(), "a plan keeps nothing");
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn a_denied_network_never_calls_connect() {
    let (bench, hub) = (Fixture::new(), published());
    let deny = policy(&bench, "deny.yaml", "network: deny");
    let broken = bench.file("broken.yaml", "version: 1\nx: 1\n").display().to_string();
    let scheme = policy(&bench, "scheme.yaml", "schemes: [local]");
    bench.file("model.yaml", "model_ref: hf:org/repo/a.gguf\npolicy: { network: allow }\n");
    for path in [&deny, &broken, &scheme] {
        for args in [
            ["ensure", "hf:org/repo/a.gguf"].as_slice(),
            &["plan", "hf:org/repo/a.gguf"],
            &["inspect", "hf:org/repo/a.gguf"],
            &["provision", "--config", "model.yaml"],
        ] {
            let calls = trace_failing(&bench, &hub.endpoint(), &[args, &["--policy", path]].concat());
            assert!(!calls.contains("AF_INET") && !calls.contains("connect("), "{path} {args:?}: {calls}");
        }
    }
    assert_eq!(hub.connections().len(), 0);
}
