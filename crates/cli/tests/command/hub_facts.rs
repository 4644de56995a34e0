//! What the hub says of a model and of a token: in `plan`, `inspect`, `doctor`, the record and the log.

use serde_json::{Value, json};
use testkit::{
    Hub, gguf,
    hub::{At, Fault, FaultKind, Refusal},
};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub,
};

const TOKEN: &str = "hf_Canary0123456789";
const WHOAMI: &str = "/api/whoami-v2";
const A: &str = "hf:org/repo/a.gguf";

fn run_with(bench: &Fixture, hub: &Hub, args: &[&str], variables: &[(&str, &str)]) -> Finished {
    finish(hub::command(bench, &hub.endpoint(), args).envs(variables.iter().copied()))
}

fn published() -> Hub {
    let hub = Hub::start();
    hub.grant(TOKEN);
    let repo = hub.repo("org/repo").license("mit").gated().lfs("a.gguf", gguf("one"));
    repo.scanned("a.gguf", "suspicious").publish();
    hub
}

fn told() -> Value {
    json!({
        "license": "mit", "gated": true, "private": false, "disabled": false, "scans": { "a.gguf": "suspicious" },
    })
}

#[test]
fn plan_and_inspect_show_what_the_hub_says() {
    let (bench, hub) = (Fixture::new(), published());
    for command in ["plan", "inspect"] {
        let run =
            |json: &[&str]| run_with(&bench, &hub, &[&[command, A], json].concat(), &[("HF_TOKEN", TOKEN)]);
        let document: Value = serde_json::from_str(&run(&["--json"]).stdout).unwrap();
        assert_eq!(document["source"], told(), "{command}");
        let text = run(&[]).stdout;
        for word in ["licence", "mit", "access", "gated", "scan", "suspicious: a.gguf"] {
            assert!(text.contains(word), "{command}: {word} in {text}");
        }
        assert!(!text.contains("private") && !text.contains("disabled"), "{text}");
    }
}

#[test]
fn the_record_and_the_log_keep_what_the_hub_says() {
    let (bench, hub) = (Fixture::new(), published());
    let policy = bench.file("policy.yaml", "version: 1\nnetwork: allow\nscan: { deny: [unsafe] }\n");
    let args = ["ensure", A, "--policy", policy.to_str().unwrap()];
    let done = run_with(&bench, &hub, &args, &[("HF_TOKEN", TOKEN)]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let record = bench.records().into_iter().find(|path| path.starts_with(bench.cache().join("catalog-v1")));
    let record: Value = serde_json::from_slice(&fs_err::read(record.unwrap()).unwrap()).unwrap();
    assert!(record.to_string().contains(&format!("\"source\":{}", told())), "{record}");
    let log = fs_err::read_to_string(bench.cache().join("provenance.jsonl")).unwrap();
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.rfind(|line| line["action"] == "ensure").unwrap();
    let kept = json!({ "license": "mit", "gated": true, "scan_issues": { "a.gguf": "suspicious" } });
    assert_eq!(line["source"], kept, "{line}");
}

#[test]
fn doctor_says_who_the_token_belongs_to() {
    let (bench, hub) = (Fixture::new(), published());
    hub.account(TOKEN, "alice", &["acme", "zoo"]);
    let doctor = |args: &[&str], variables: &[(&str, &str)]| {
        run_with(&bench, &hub, &[&["doctor"], args].concat(), variables)
    };
    let token = [("HF_TOKEN", TOKEN)];
    let screen = doctor(&[], &token).stdout;
    assert!(screen.contains("of the variable HF_TOKEN, as alice (of acme, zoo)\n"), "{screen}");
    let document: Value = serde_json::from_str(&doctor(&["--json"], &token).stdout).unwrap();
    assert_eq!(document["hub"]["account"], json!({ "name": "alice", "organizations": ["acme", "zoo"] }));
    let logged_in = Fixture::new();
    let file = logged_in.file("hf-home/token", TOKEN);
    let done = run_with(&logged_in, &hub, &["doctor"], &[]);
    assert!(done.stdout.contains("as alice"), "{}", done.stdout);
    assert!(
        done.stderr.matches(file.to_str().unwrap()).count() <= 2,
        "one warning names it: {}",
        done.stderr
    );
    // Nothing is asked without a token, or where a policy or the operator forbids it.
    hub.reset_counts();
    let policy = |rules: &str| {
        let name = format!("{}.yaml", rules.split(':').next().unwrap());
        bench.file(&name, format!("version: 1\n{rules}\n")).display().to_string()
    };
    for (args, variables) in [
        (vec![], vec![]),
        (vec!["--offline".to_owned()], token.to_vec()),
        (vec![], vec![token[0], ("HF_HUB_OFFLINE", "1")]),
        (vec![], vec![token[0], ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]),
        (vec!["--policy".to_owned(), policy("network: deny")], token.to_vec()),
        (vec!["--policy".to_owned(), policy("hosts: [huggingface.co]")], token.to_vec()),
        (vec!["--policy".to_owned(), policy("schemes: [local]")], token.to_vec()),
        (vec!["--policy".to_owned(), policy("not_a_rule: 1")], token.to_vec()),
    ] {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let done = doctor(&args, &variables);
        assert!(!done.stdout.contains("alice") && !done.stdout.contains("does not say"), "{}", done.stdout);
        assert_eq!(hub.requests().len(), 0, "{args:?} {variables:?}");
    }
    let done = doctor(&["--policy", &policy("repos: [\"hf:other/*\"]")], &token);
    assert!(
        done.stdout.contains("as alice"),
        "a rule about repositories is none about accounts: {}",
        done.stdout
    );
}

#[test]
fn doctor_tells_a_refused_token_and_ends_well() {
    let (bench, hub) = (Fixture::new(), published());
    for (kind, expect) in [
        (FaultKind::Refuse(Refusal::status(401).header("X-Error-Message", TOKEN)), "answered 401"),
        (FaultKind::Refuse(Refusal::status(403)), "answered 403"),
        (FaultKind::Refuse(Refusal::status(500)), "answered 500"),
        (
            FaultKind::Refuse(Refusal::status(200).body(format!("{{\"name\":\"{TOKEN}\"}}"))),
            "it names no account",
        ),
        (FaultKind::Stall(At::BeforeHead, None), "takes too long"),
    ] {
        hub.clear_faults();
        hub.fault(Fault::on(WHOAMI).kind(kind));
        let done = run_with(&bench, &hub, &["doctor", "-vv"], &[("HF_TOKEN", TOKEN)]);
        assert_eq!(done.status, 0, "{expect}: {}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains("the hub does not say who the token belongs to"), "{}", done.stdout);
        assert!(done.stdout.contains(expect), "{expect}: {}", done.stdout);
        assert!(!format!("{}{}", done.stdout, done.stderr).contains(TOKEN), "{expect}");
    }
}

#[test]
fn a_present_model_is_shown_without_the_hub() {
    let (bench, hub) = (Fixture::new(), published());
    let done = run_with(&bench, &hub, &["ensure", A], &[("HF_TOKEN", TOKEN)]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    hub.reset_counts();
    let done = hub::run(&bench, &hub, &["plan", A, "--json"]);
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(document["source"]["license"], "mit");
    assert_eq!(hub.requests().len(), 0);
}
