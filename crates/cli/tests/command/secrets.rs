//! The token goes to the hub, and nowhere else: into no line, no document, no file of the cache, no other host, no engine.

use std::{os::unix::fs::PermissionsExt, path::Path, thread};

use testkit::{
    Hub, gguf_of,
    hub::{At, Fault, FaultKind, Origin, Refusal},
};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub::command,
};

const A: &str = "hf:org/repo/a.gguf";
const TOKEN: &str = "hf_Canary0123456789";

/// The places at which a token may lie: a variable with the token, or with the path of its file; or the file of a login.
const PLACES: [&str; 4] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "hf-home/token"];

fn hub() -> Hub {
    let hub = Hub::start();
    hub.grant(TOKEN);
    hub.repo("org/repo").lfs("a.gguf", gguf_of(300_000, 7)).file("config.json", "{}").private().publish();
    hub
}

fn run(bench: &Fixture, hub: &Hub, place: &str, args: &[&str]) -> Finished {
    let mut command = command(bench, &hub.endpoint(), args);
    match place {
        "HF_TOKEN_PATH" => command.env(place, bench.file("saved", TOKEN)),
        "hf-home/token" => {
            bench.file(place, TOKEN);
            &mut command
        }
        variable => command.env(variable, TOKEN),
    };
    finish(&mut command)
}

/// Fails where a text has the token, in any letter case and in any encoding that a log may have used.
#[track_caller]
pub(crate) fn has_no_token(text: &str, what: &str) {
    let plain = text.to_lowercase().replace("%5f", "_");
    assert!(!plain.contains("canary0123456789"), "{what}: {text}");
}

/// Fails where the token went anywhere but to the hub.
#[track_caller]
pub(crate) fn is_kept(bench: &Fixture, hub: &Hub, done: &Finished, what: &str) {
    has_no_token(&done.stdout, what);
    has_no_token(&done.stderr, what);
    for path in bench.cache_files() {
        let bytes = fs_err::read(&path).unwrap();
        has_no_token(&String::from_utf8_lossy(&bytes), &path.display().to_string());
    }
    for seen in hub.requests() {
        let is_told = seen.headers.iter().any(|(_, value)| value.to_lowercase().contains("canary"));
        assert!(!is_told || seen.origin == Origin::Hub, "{what}: {seen:?}");
        has_no_token(&seen.raw_target, what);
    }
}

/// What a hub may do with a token that it was told: it repeats it wherever an answer has room.
fn failures(elsewhere: &str) -> Vec<Fault> {
    let echo = |status| {
        let refusal = Refusal::status(status).error("Echo", &format!("you are Bearer {TOKEN}"));
        FaultKind::Refuse(refusal.header("X-Request-Id", TOKEN).body(format!("{{\"error\":\"{TOKEN}\"}}")))
    };
    let mut all = Vec::new();
    for pattern in ["/api/", "a.gguf"] {
        all.extend([401, 403, 404, 410, 500].map(|status| Fault::on(pattern).kind(echo(status))));
        let more = [
            FaultKind::RedirectTo(format!("{elsewhere}/{TOKEN}?token={TOKEN}")),
            FaultKind::RedirectTo(format!("http://{TOKEN}:{TOKEN}@127.0.0.1:9/x")),
            FaultKind::RedirectTo(format!("http://{}.invalid/x", TOKEN.replace('_', "%5F"))),
            FaultKind::RedirectToSelf,
            FaultKind::Cut(At::BeforeHead),
            FaultKind::HtmlPage,
        ];
        all.extend(more.map(|kind| Fault::on(pattern).may_miss().kind(kind)));
    }
    all.push(
        Fault::on("/api/").may_miss().kind(FaultKind::LinkTo(format!("{elsewhere}/next?token={TOKEN}"))),
    );
    all.push(Fault::on("a.gguf").may_miss().kind(FaultKind::Etag(TOKEN.to_owned())));
    all.push(Fault::on("a.gguf").may_miss().kind(FaultKind::Flip(1000)));
    all
}

#[test]
fn a_token_from_any_place_is_kept_through_every_command() {
    for place in PLACES {
        let (bench, hub) = (Fixture::new(), hub());
        let commands: [&[&str]; 9] = [
            &["plan", A],
            &["inspect", A],
            &["ensure", A],
            &["ensure", A, "--refresh", "--json"],
            &["show", A],
            &["verify", "--all"],
            &["doctor", "--json"],
            &["export", A, "out"],
            &["remove", A],
        ];
        for args in commands {
            let done = run(&bench, &hub, place, &[args, &["-vv"]].concat());
            assert_eq!(done.status, 0, "{place} {args:?}: {}", done.stderr);
            is_kept(&bench, &hub, &done, place);
        }
        assert!(hub.count(|seen| seen.authorization.is_some()) > 0, "{place}");
    }
}

#[test]
fn a_token_is_kept_through_every_failure() {
    let elsewhere = Hub::start();
    let faults = failures(&elsewhere.endpoint());
    thread::scope(|scope| {
        for (number, fault) in faults.into_iter().enumerate() {
            let place = PLACES[number % PLACES.len()];
            scope.spawn(move || survives(fault, place));
        }
    });
    for seen in elsewhere.requests() {
        assert_eq!(seen.authorization, None, "{seen:?}");
        let told = seen.headers.iter().find(|(_, value)| value.to_lowercase().contains("canary"));
        assert_eq!(told, None, "{seen:?}");
    }
}

/// Fails where the token gets out while the hub does what the fault says.
fn survives(fault: Fault, place: &str) {
    let (bench, hub) = (Fixture::new(), hub());
    let what = format!("{fault:?}");
    hub.fault(fault);
    let args = ["ensure", A, "-vv", "--wait", "1s", "--timeout", "2s"];
    for args in [&args[..], &[&args[..], &["--json"]].concat()] {
        let done = run(&bench, &hub, place, args);
        is_kept(&bench, &hub, &done, &what);
    }
}

#[test]
fn the_log_of_everything_says_more_than_that_of_the_command() {
    let (bench, hub) = (Fixture::new(), hub());
    let lines = |level| run(&bench, &hub, "HF_TOKEN", &["plan", A, level]).stderr.lines().count();
    assert!(lines("-vv") > lines("-v"));
}

#[test]
fn an_engine_does_not_get_the_token() {
    let (bench, hub) = (Fixture::new(), hub());
    for place in &PLACES[..2] {
        for supervise in [&[][..], &["--supervise"]] {
            let done = run(&bench, &hub, place, &[&["run", A], supervise, &["--", "env"]].concat());
            assert_eq!(done.status, 0, "{}", done.stderr);
            assert!(done.stdout.contains("HF_ENDPOINT="), "{}", done.stdout);
            has_no_token(&done.stdout, place);
        }
    }
}

#[test]
fn a_token_file_that_others_can_read_earns_a_warning() {
    let (bench, hub) = (Fixture::new(), hub());
    let open = "every user of this machine can read the token";
    let warns = |mode, folder| {
        let set = |path: &Path, mode| fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        let path = bench.file("secret/token", TOKEN);
        set(&path, mode);
        set(path.parent().unwrap(), folder);
        let mut command = command(&bench, &hub.endpoint(), &["ensure", A]);
        let done = finish(command.env("HF_TOKEN_PATH", &path));
        assert_eq!(done.status, 0, "{}", done.stderr);
        set(path.parent().unwrap(), 0o755);
        done.stderr.contains(open) && done.stderr.contains("`chmod 600 ")
    };
    assert!(warns(0o644, 0o755));
    assert!(!warns(0o600, 0o755), "no other user can read the file");
    assert!(!warns(0o640, 0o755), "its group is the user's own on most machines");
    assert!(!warns(0o644, 0o700), "no other user can enter its folder");
}
