//! `kill -9` at any moment leaves everything readable.
//!
//! The random test runs everywhere. The exhaustive one kills at every system call that changes something, one after
//! the other, and needs `strace`.

use std::{process::Stdio, thread, time::Duration};
use testkit::TINY_GGUF;

use crate::fixture::{Fixture, finish};

/// Fails unless the cache is consistent, whenever a command was killed.
#[track_caller]
fn is_whole(bench: &Fixture, what: &str) {
    let list = bench.run(&["list", "--json"]);
    assert_eq!((list.status, list.stderr.as_str()), (0, ""), "{what}");
    let models: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert!(
        models.as_array().unwrap().iter().any(|model| model["id"].as_str().unwrap().ends_with("/kept.gguf")),
        "{what}"
    );
    assert_eq!(bench.run(&["doctor"]).status, 0, "{what}");
}

fn bench() -> Fixture {
    let bench = Fixture::new();
    bench.file("kept.gguf", TINY_GGUF);
    bench.file("a.gguf", TINY_GGUF);
    bench.run(&["ensure", "kept.gguf", "-q"]);
    bench
}

#[test]
fn at_random_moments() {
    let bench = bench();
    let commands =
        [["ensure", "a.gguf"], ["retire", "kept.gguf"], ["activate", "kept.gguf"], ["remove", "a.gguf"]];
    let mut kills = 0;
    for round in 0..80u64 {
        let args = commands[usize::try_from(round).unwrap() % commands.len()];
        let mut child =
            bench.command().args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(round * 1117 % 12_000));
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().code().is_none());
        is_whole(&bench, &format!("round {round}: {args:?}"));
    }
    assert!(kills > 0, "each of them had ended before");
    bench.run(&["activate", "kept.gguf"]);
    assert_eq!(bench.run(&["ensure", "kept.gguf", "a.gguf"]).status, 0);
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn at_every_system_call_that_changes_something() {
    for args in [["ensure", "a.gguf"], ["retire", "kept.gguf"], ["remove", "a.gguf"], ["verify", "kept.gguf"]]
    {
        let bench = bench();
        if args[0] == "remove" {
            bench.run(&["ensure", "a.gguf", "-q"]);
        }
        let mut kills = 0;
        for call in [
            "?open,openat",
            "write",
            "fsync,fdatasync",
            "rename,renameat,renameat2",
            "unlink,unlinkat",
            "flock",
            "mkdir",
            "ftruncate",
            "utimensat",
        ] {
            for count in 1..60 {
                let mut strace = std::process::Command::new("strace");
                let inject = format!("inject={call}:signal=KILL:when={count}");
                let command = bench.command();
                strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
                strace.arg(command.get_program()).args(args).current_dir(bench.path(""));
                strace.env("MODEL_PROVISIONER_CACHE_DIR", bench.cache());
                let done = finish(&mut strace);
                is_whole(&bench, &format!("{args:?}, {call} number {count}"));
                if done.status != -1 && done.status != 137 {
                    break;
                }
                kills += 1;
                if args[0] == "remove" {
                    bench.run(&["ensure", "a.gguf", "-q"]);
                }
            }
        }
        assert!(kills > 10, "{args:?} was killed only {kills} times");
        assert_eq!(bench.run(&["activate", "kept.gguf"]).status, 0);
        assert_eq!(bench.run(&["ensure", "kept.gguf", "a.gguf"]).status, 0);
    }
}
