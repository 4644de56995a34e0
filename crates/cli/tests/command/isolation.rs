//! The command opens no socket, and reads no model again, where it does not have to.
//!
//! The tests see both through `strace`.

use std::{path::Path, process::Command};

use testkit::{Hub, TINY_GGUF, gguf, safetensors};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub,
};

/// Runs the command under `strace`, and returns the traced calls.
pub(crate) fn trace(bench: &Fixture, calls: &str, args: &[&str]) -> String {
    let log = bench.path("strace.log");
    let (calls, log_text) = (format!("trace={calls}"), log.to_str().unwrap());
    let mut command = bench.command();
    command.args(args);
    let done = under(&["strace", "-f", "-qq", "-s", "4096", "-o", log_text, "-e", &calls], bench, &command);
    assert_eq!(done.status, 0, "{}", done.stderr);
    fs_err::read_to_string(log).unwrap()
}

/// Returns the calls of the network that a command makes which the policy denies.
pub(crate) fn trace_failing(bench: &Fixture, endpoint: &str, args: &[&str]) -> String {
    let log = bench.path("strace.log");
    let command = hub::command(bench, endpoint, args);
    let done =
        under(&["strace", "-f", "-qq", "-o", log.to_str().unwrap(), "-e", "trace=network"], bench, &command);
    assert_eq!(done.status, 5, "{}", done.stderr);
    fs_err::read_to_string(log).unwrap()
}

/// Runs a command by another program.
fn under(program: &[&str], bench: &Fixture, command: &Command) -> Finished {
    let mut outer = Command::new(program[0]);
    outer.args(&program[1..]).arg(command.get_program()).args(command.get_args());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    finish(outer.current_dir(bench.path("")))
}

/// Makes a cache with a file and a repository of a hub, and stops the hub.
fn fetched() -> (Fixture, [&'static str; 2]) {
    let (bench, hub, ids) = (Fixture::new(), Hub::start(), ["hf:org/repo", "hf:org/repo@main/a.gguf"]);
    let repo = hub.repo("org/repo").file("config.json", "{}").lfs("model.safetensors", safetensors("x"));
    repo.lfs("a.gguf", gguf("GGUF")).publish();
    for id in ids {
        let done = hub::run(&bench, &hub, &["ensure", id]);
        assert_eq!(done.status, 0, "{}", done.stderr);
    }
    (bench, ids)
}

#[test]
#[ignore = "needs unshare, and the right to use it"]
fn a_present_model_of_the_hub_needs_no_network() {
    let (bench, ids) = fetched();
    for id in ids {
        let command = hub::command(&bench, "http://127.0.0.1:1", &["ensure", id, "--json"]);
        let done = under(&["unshare", "-rn"], &bench, &command);
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        let model: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(model["cached"], true, "{model}");
    }
    let absent = hub::command(&bench, "http://127.0.0.1:1", &["ensure", "hf:org/other"]);
    assert_eq!(under(&["unshare", "-rn"], &bench, &absent).status, 6);
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn a_present_model_of_the_hub_opens_no_socket() {
    let (bench, ids) = fetched();
    for id in ids {
        let calls = trace(&bench, "network", &["ensure", id]);
        assert!(!calls.contains("socket(") && !calls.contains("connect("), "{id}: {calls}");
    }
    // One that is not present does, and is seen to.
    let log = bench.path("absent.log");
    let absent = hub::command(&bench, "http://127.0.0.1:1", &["ensure", "hf:org/other"]);
    let strace = ["strace", "-f", "-qq", "-e", "trace=network", "-o", log.to_str().unwrap()];
    assert_eq!(under(&strace, &bench, &absent).status, 6);
    let calls = fs_err::read_to_string(log).unwrap();
    assert!(calls.contains("socket(AF_INET") && calls.contains("connect("), "{calls}");
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn no_internet_socket_is_opened() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    bench.file("model.yaml", "model_ref: a.gguf\n");
    for args in [
        vec!["ensure", "a.gguf"],
        vec!["provision", "--config", "model.yaml"],
        vec!["verify", "--all"],
        vec!["list"],
    ] {
        let calls = trace(&bench, "network", &args);
        assert!(!calls.contains("AF_INET") && !calls.contains("connect("), "{args:?}: {calls}");
    }
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn a_present_model_is_looked_at_and_not_opened() {
    let bench = Fixture::new();
    let model = bench.file("a.gguf", TINY_GGUF);
    let day = std::time::Duration::from_secs(86_400);
    let modified = fs_err::metadata(&model).unwrap().modified().unwrap() - day;
    std::fs::File::options().write(true).open(&model).unwrap().set_modified(modified).unwrap();
    for n in 0..50 {
        bench.file(&format!("m/{n}.gguf"), TINY_GGUF);
    }
    let others: Vec<_> = (0..50).map(|n| format!("m/{n}.gguf")).collect();
    finish(bench.command().args(["ensure", "-q"]).args(others));
    let pinned =
        ["ensure", "a.gguf", "--sha256", "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99"];
    assert_eq!(bench.run(&pinned).status, 0);
    let calls = trace(&bench, "?open,openat,statx,?newfstatat,?stat", &pinned);
    let lines = |call: &str, path: &Path| {
        calls.lines().filter(|line| line.contains(call) && line.contains(path.to_str().unwrap())).count()
    };
    assert_eq!(lines("open", &model), 0, "{calls}");
    assert_eq!(lines("stat", &model), 1, "{calls}");
    assert_eq!(lines("open", &bench.cache().join("catalog-v1")), 1, "one record: {calls}");
}
