//! Many processes share one cache.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};
use testkit::{TINY_GGUF, gguf};

use crate::fixture::{Finished, Fixture, finish};

fn start(bench: &Fixture, args: &[&str]) -> Child {
    bench.command().args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn succeed(children: Vec<Child>) {
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn thirty_two_ensure_different_files() {
    let bench = Fixture::new();
    let names: Vec<_> = (0..32).map(|n| format!("{n}.gguf")).collect();
    for name in &names {
        bench.file(name, gguf(name));
    }
    succeed(names.iter().map(|name| start(&bench, &["ensure", name])).collect());
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 32);
    bench.has_no_temporary_files();
    let log = fs_err::read_to_string(bench.cache().join("provenance.jsonl")).unwrap();
    assert_eq!(
        log.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(),
        32
    );
}

#[test]
fn thirty_two_retire_and_activate_one_model() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    bench.run(&["ensure", "a.gguf", "-q"]);
    let commands = ["retire", "activate"].into_iter().cycle().take(32);
    succeed(commands.map(|command| start(&bench, &[command, "a.gguf"])).collect());
    let list = bench.json(&["list"]);
    assert!(["Active", "Retired"].contains(&list[0]["lifecycle"].as_str().unwrap()));
    assert_eq!(list.as_array().unwrap().len(), 1);
    bench.has_no_temporary_files();
}

#[test]
fn thirty_two_ensure_one_model() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    let pinned =
        ["ensure", "a.gguf", "--sha256", "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99"];
    succeed((0..32).map(|_| start(&bench, &pinned)).collect());
    assert_eq!(bench.json(&["show", "a.gguf"])["verification"]["basis"], "pinned");
}

/// Returns the command under limits of the system, as a user to whom they apply.
fn limited(bench: &Fixture, limit: &str, args: &[&str]) -> Finished {
    let plain = bench.unprivileged();
    let mut command = Command::new("prlimit");
    command.arg(limit).arg(plain.get_program()).args(args).current_dir(bench.path(""));
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    finish(&mut command)
}

#[test]
fn without_a_thread_or_a_descriptor_there_is_a_code() {
    let bench = Fixture::new();
    for (limit, status, code) in [
        ("--nproc=1", 1, "too-many-threads"),
        ("--nofile=6", 8, "too-many-files"),
        ("--nofile=4", 8, "too-many-files"),
    ] {
        let done = limited(&bench, limit, &["list", "--json"]);
        assert_eq!(done.status, status, "{limit}: {}", done.stderr);
        assert!(
            !done.stderr.contains("panicked") && done.stderr.contains("hint: raise the limit"),
            "{}",
            done.stderr
        );
        let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(document["error"]["code"], code, "{limit}");
    }
}
