//! The command explains what the hub asks for, refuses or repeats, and acts on it.

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{
    Hub, gguf_of,
    hub::{Fault, FaultKind, Refusal},
};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub::command,
};

const A: &str = "hf:org/repo/a.gguf";
const TOKEN: &str = "hf_Secret0123456789";

fn hub() -> Hub {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", gguf_of(100_000, 7)).file("config.json", "{}").publish();
    hub
}

fn busy(seconds: u64) -> Fault {
    Fault::on("/api/").once().kind(FaultKind::Refuse(Refusal::status(429).rate_limit_s(seconds)))
}

fn run(bench: &Fixture, hub: &Hub, args: &[&str], variables: &[(&str, &str)]) -> Finished {
    finish(command(bench, &hub.endpoint(), args).envs(variables.iter().copied()))
}

fn error(done: &Finished) -> (Value, String, String) {
    let document: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
    let text = |name: &str| document["error"][name].as_str().unwrap_or_default().to_owned();
    (document["error"]["code"].clone(), text("message"), text("hint"))
}

#[test]
fn the_window_of_a_rate_limit_is_waited_for_and_told() {
    let (bench, hub) = (Fixture::new(), hub());
    hub.fault(busy(1));
    let begin = Instant::now();
    let done = run(&bench, &hub, &["ensure", A, "--progress", "json"], &[]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(begin.elapsed() >= Duration::from_secs(2), "a second more than it asks");
    let events = done.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let pauses: Vec<_> =
        events.filter(|event| event["event"].as_str().unwrap().starts_with("pause_")).collect();
    assert_eq!(pauses.len(), 2, "{pauses:?}");
    assert_eq!((&pauses[0]["event"], &pauses[0]["pause_ms"]), (&json!("pause_started"), &json!(1000)));
    assert!(pauses[0]["reason"].as_str().unwrap().contains("answered 429"), "{pauses:?}");
    assert_eq!(pauses[1], json!({ "event": "pause_ended", "id": A }));
}

#[test]
fn a_window_beyond_the_limit_is_told_at_once() {
    let (bench, hub) = (Fixture::new(), hub());
    hub.fault(busy(60));
    let begin = Instant::now();
    let done = run(&bench, &hub, &["ensure", A, "--wait", "5s", "--json"], &[]);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let (code, message, hint) = error(&done);
    assert_eq!((done.status, code), (6, json!("source-unavailable")));
    assert!(message.ends_with("the hub asks to wait 60 s, and 5 seconds are the limit"), "{message}");
    assert!(hint.contains("wait 60 seconds") && hint.contains("`--wait`"), "{hint}");
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn a_disabled_repository_is_no_matter_of_tokens() {
    let (bench, hub) = (Fixture::new(), hub());
    let disabled = Refusal::status(403).header("X-Error-Message", "Access to this resource is disabled.");
    hub.fault(Fault::on("/api/").kind(FaultKind::Refuse(disabled)));
    let done = run(&bench, &hub, &["ensure", A, "--json"], &[]);
    let (code, message, hint) = error(&done);
    assert_eq!((done.status, code), (6, json!("disabled")));
    assert!(message.contains("is disabled") && hint.contains("serves it to no user"), "{message}: {hint}");
    assert!(!done.stderr.contains("HF_TOKEN"), "{}", done.stderr);
}

#[test]
fn doctor_says_where_the_token_comes_from_and_not_what_it_is() {
    let (bench, hub) = (Fixture::new(), hub());
    let file = bench.file("token", TOKEN);
    let path = file.to_str().unwrap();
    let check = |variables: &[(&str, &str)], expected: &str| {
        let done = run(&bench, &hub, &["doctor"], variables);
        assert!(done.stdout.contains(&format!("{}, with {expected}\n", hub.endpoint())), "{}", done.stdout);
        let json = run(&bench, &hub, &["doctor", "--json"], variables).stdout;
        assert!(![done.stdout, json].iter().any(|text| text.contains(TOKEN)));
    };
    check(&[], "no token");
    check(&[("HF_TOKEN", TOKEN)], "the token of the variable HF_TOKEN");
    check(&[("HF_TOKEN_PATH", path)], &format!("the token of the file `{path}`"));
    check(&[("HF_TOKEN", TOKEN), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")], "no token");
}

#[test]
fn an_expired_token_is_told_by_its_variable_or_file() {
    let hub = hub();
    hub.expire(TOKEN);
    for variable in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        let done = run(&Fixture::new(), &hub, &["ensure", A, "--json"], &[(variable, TOKEN)]);
        let (code, message, hint) = error(&done);
        assert_eq!((done.status, code), (7, json!("unauthorized")));
        assert!(message.contains(&format!("the token of the variable {variable}: ")), "{message}");
        assert!(hint.contains("unset it") && hint.contains(variable), "{hint}");
    }
    let bench = Fixture::new();
    let file = bench.file("hf-home/token", TOKEN);
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let done = run(&bench, &hub, &["ensure", A], &[]);
    assert_eq!(done.status, 0, "a public model needs no token: {}", done.stderr);
    assert_eq!(done.stderr.matches(file.to_str().unwrap()).count(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("has expired") && done.stderr.contains("hf auth login"), "{}", done.stderr);
}

#[test]
fn the_variables_of_the_hubs_own_tools_mean_what_they_mean_there() {
    let hub = hub();
    let asked = |variables: &[(&str, &str)]| {
        let bench = Fixture::new();
        bench.file("hf-home/token", "hf_of_a_file");
        hub.reset_counts();
        let done = run(&bench, &hub, &["ensure", A], variables);
        let requests = hub.requests();
        let tokens = requests.iter().filter(|seen| seen.authorization.is_some()).count();
        (done.status, requests.is_empty(), tokens > 0)
    };
    let (online, offline) = ((0, false), (5, true));
    let is_offline = |variables: &[(&str, &str)]| {
        let (status, is_silent, _) = asked(variables);
        (status, is_silent)
    };
    assert_eq!(is_offline(&[("TRANSFORMERS_OFFLINE", "1")]), offline);
    assert_eq!(is_offline(&[("HF_HUB_OFFLINE", "yes")]), offline);
    assert_eq!(is_offline(&[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "True")]), offline);
    assert_eq!(is_offline(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]), online);
    assert_eq!(is_offline(&[("HF_HUB_OFFLINE", "2")]), online, "only 1, ON, YES and TRUE are yes");
    assert!(asked(&[]).2 && asked(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0")]).2);
    assert_eq!(asked(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), (0, false, false));
    assert!(!asked(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "true"), ("HF_TOKEN", TOKEN)]).2);
}

/// Lists every file below a folder, and every folder.
fn below(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = vec![folder];
    let mut next = 0;
    while let Some(folder) = found.get(next).cloned() {
        next += 1;
        if folder.is_dir() {
            found.extend(fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn a_token_that_a_hub_repeats_is_nowhere() {
    let kinds = [
        FaultKind::Refuse(Refusal::status(403).error("GatedRepo", TOKEN)),
        FaultKind::Refuse(Refusal::status(401).error("RepoNotFound", TOKEN)),
        FaultKind::Refuse(Refusal::status(200).body(json!({ "sha": TOKEN }).to_string())),
        FaultKind::Refuse(Refusal::status(200).body(format!("<html>{TOKEN}</html>"))),
        FaultKind::RedirectTo(format!("http://{TOKEN}.invalid/{TOKEN}")),
        FaultKind::RedirectTo(format!("http://127.0.0.1:9/{TOKEN}?{TOKEN}")),
        FaultKind::Header("Link", Some(format!("<{TOKEN}"))),
        FaultKind::Header("ETag", Some(format!("\"{TOKEN}\""))),
        FaultKind::Header("Content-Range", Some(TOKEN.to_owned())),
        FaultKind::Header("Content-Type", Some(format!("text/html; {TOKEN}"))),
        FaultKind::Header("X-Repo-Commit", Some(TOKEN.to_owned())),
        FaultKind::Entries(vec![format!("{TOKEN}.json")]),
        FaultKind::Entries(vec![format!("folder/{TOKEN}/x.json"), format!("../{TOKEN}")]),
        FaultKind::Listed("a.gguf".into(), json!({ "lfs": { "oid": TOKEN, "size": 1 } })),
        FaultKind::Listed("a.gguf".into(), json!({ "size": TOKEN })),
        FaultKind::Listed("a.gguf".into(), json!({ "xetHash": TOKEN })),
    ];
    let hides = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).to_ascii_lowercase();
        !text.contains(&TOKEN.to_ascii_lowercase())
    };
    for kind in kinds {
        let (bench, hub) = (Fixture::new(), hub());
        let told = format!("{kind:?}");
        hub.fault(Fault::on("*").kind(kind));
        for args in [&["ensure", "hf:org/repo?include=*", "-vvv"][..], &["plan", A, "--json", "-vvv"]] {
            let done = run(&bench, &hub, args, &[("HF_TOKEN", TOKEN), ("RUST_LOG", "trace")]);
            assert!(hides(done.stdout.as_bytes()), "{told}: {}", done.stdout);
            assert!(hides(done.stderr.as_bytes()), "{told}: {}", done.stderr);
        }
        for path in below(bench.path("")) {
            assert!(hides(path.as_os_str().as_encoded_bytes()), "{told}: {}", path.display());
            let is_file = path.is_file();
            assert!(!is_file || hides(&fs_err::read(&path).unwrap()), "{told}: {}", path.display());
        }
    }
}
