//! Many processes want one model: where locks are honest, where they fail, where they lie, and where their holders die.
//!
//! `MODEL_PROVISIONER_PROVE=full` (`just prove`) makes them as many as the promises say; otherwise a few are enough to see
//! a fault.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use testkit::{Hub, gguf_of, hub::Origin, tier};

use crate::fixture::{Fixture, finish};

const ID: &str = "hf:org/repo/a.gguf";
const SIZE: usize = 6 << 20;

fn weights() -> Vec<u8> {
    gguf_of(SIZE, 0)
}

fn bench() -> (Fixture, Hub) {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", weights()).publish();
    (bench, hub)
}

fn ensure(bench: &Fixture, hub: &Hub) -> Command {
    let mut command = bench.command();
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf-home"));
    command.args(["ensure", ID, "-q"]);
    command
}

/// Returns the same command, with its locks tampered with, and with a trace of that in a file.
fn tampered(command: &Command, inject: &str, trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=flock", "-e", inject, "-o"]).arg(trace);
    strace.arg(command.get_program()).args(command.get_args());
    strace.current_dir(command.get_current_dir().unwrap());
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn all_end_verified(bench: &Fixture, children: Vec<Child>) {
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let path = String::from_utf8(done.stdout).unwrap();
        assert!(fs_err::read(path.trim()).unwrap() == weights(), "{path}");
    }
    assert_eq!(bench.run(&["verify", ID]).status, 0);
    bench.has_no_temporary_files();
}

#[test]
fn honest_locks_make_one_download() {
    let (bench, hub) = bench();
    let children = (0..tier(8, 32)).map(|_| start(ensure(&bench, &hub))).collect();
    all_end_verified(&bench, children);
    assert_eq!(hub.bytes_sent("a.gguf"), SIZE as u64);
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn locks_that_lie_or_fail_cost_downloads_and_nothing_else() {
    for inject in ["inject=flock:retval=0", "inject=flock:error=ENOLCK"] {
        let (bench, hub) = bench();
        let count = tier(8u64, 32);
        let traces: Vec<_> = (0..count).map(|n| bench.path(&format!("trace-{n}"))).collect();
        let children =
            traces.iter().map(|trace| start(tampered(&ensure(&bench, &hub), inject, trace))).collect();
        all_end_verified(&bench, children);
        for trace in traces {
            assert!(fs_err::read_to_string(trace).unwrap().contains("(INJECTED)"), "{inject}");
        }
        let downloads = hub.bytes_sent("a.gguf").div_ceil(SIZE as u64);
        assert!((1..=count).contains(&downloads), "{inject}: {downloads} downloads");
    }
}

#[test]
fn a_waiter_takes_over_from_an_owner_that_dies() {
    let rounds = tier(6, 200);
    for round in 0..rounds {
        let (bench, hub) = bench();
        hub.limit_rate(Some(40 << 20));
        let mut owner = start(ensure(&bench, &hub));
        assert!(
            hub.wait_until(Duration::from_secs(20), |hub| hub.count(|seen| seen.origin == Origin::Cdn) > 0)
        );
        let waiters: Vec<_> = (0..tier(4, 8)).map(|_| start(ensure(&bench, &hub))).collect();
        let enough = (SIZE * round / rounds) as u64;
        assert!(hub.wait_until(Duration::from_secs(20), |hub| hub.bytes_sent("a.gguf") >= enough));
        owner.kill().unwrap();
        owner.wait().unwrap();
        let before = hub.requests().len();
        // One of the waiting processes asks the hub again, unless nothing was left to ask for.
        let is_taken_over = |hub: &Hub| hub.requests().len() > before || bench.run(&["show", ID]).status == 0;
        // A waiter looks four times a second; on a machine that does other work too, a second is nothing.
        assert!(hub.wait_until(Duration::from_secs(10), is_taken_over), "round {round}");
        hub.limit_rate(None);
        all_end_verified(&bench, waiters);
        let partials = fs_err::read_dir(bench.cache().join("store-v1/partial")).map_or(0, Iterator::count);
        assert_eq!(partials, 0, "round {round}");
    }
}

#[test]
fn a_waiter_says_for_whom_and_how_far_and_gives_up_when_told() {
    let (bench, hub) = bench();
    hub.limit_rate(Some(1 << 20));
    let mut owner = start(ensure(&bench, &hub));
    let is_begun = |hub: &Hub| hub.bytes_sent("a.gguf") > 1 << 20;
    assert!(hub.wait_until(Duration::from_secs(20), is_begun));
    let waited = finish(ensure(&bench, &hub).args(["--wait", "1500ms", "--progress", "json"]));
    assert_eq!(waited.status, 9, "{}", waited.stderr);
    assert!(
        waited.stderr.contains(&format!("\"pid\":{},\"program\":\"model-provision", owner.id())),
        "{}",
        waited.stderr
    );
    assert!(
        waited.stderr.contains(&format!("is being made present by process {}", owner.id())),
        "{}",
        waited.stderr
    );
    let seen: Vec<u64> = waited
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "waiting" && event["size_bytes"] == SIZE)
        .map(|event| event["done_bytes"].as_u64().unwrap())
        .collect();
    assert!(seen.len() > 2 && seen.first() < seen.last(), "{seen:?}");
    owner.kill().unwrap();
    owner.wait().unwrap();
}
