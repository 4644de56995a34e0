//! `run` becomes an engine, and keeps other processes from removing the engine's model.

use std::{
    io::{BufRead, BufReader, PipeReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Signal, kill_process},
};
use testkit::TINY_GGUF;

use crate::fixture::{Fixture, finish};

const TINY_SHA256: &str = "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99";

fn bench() -> Fixture {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    bench
}

/// Starts a command, and returns it with the first line that it prints.
fn started(command: &mut Command) -> (Child, String) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim_end().to_owned())
}

#[test]
fn the_program_knows_its_model_and_ends_as_it_ends() {
    let bench = bench();
    let script = r#"echo "$0|$1|$2|$3"; exit 3"#;
    let ran = bench.run(&[
        "run",
        "a.gguf",
        "-q",
        "--handoff",
        "out/engine.json",
        "--",
        "sh",
        "-c",
        script,
        "{path}",
        "x={id}",
        "{handoff}{handoff}",
        "{other}",
    ]);
    let (path, handoff) = (bench.path("a.gguf"), bench.path("out/engine.json"));
    let (path, handoff) = (path.display(), handoff.display());
    assert_eq!(ran.stdout, format!("{path}|x=local:{path}|{handoff}{handoff}|{{other}}\n"));
    assert_eq!((ran.status, ran.stderr.as_str()), (3, ""));
    let written: serde_json::Value =
        serde_json::from_slice(&fs_err::read(bench.path("out/engine.json")).unwrap()).unwrap();
    assert_eq!(written["model"]["path"], path.to_string());
    assert_eq!(bench.run(&["run", "a.gguf", "-q", "--", "absent-program"]).status, 127);
    assert_eq!(bench.run(&["run", "a.gguf", "-q", "--", "./a.gguf"]).status, 126);
    assert_eq!(bench.run(&["run", "a.gguf", "-q", "--", "cat", "{mmproj}"]).status, 2);
    let failed = bench.run(&["run", "a.gguf", "-q", "--json", "--", "absent-program"]);
    assert!(failed.stdout.contains("\"program-not-found\""), "{}", failed.stdout);
}

#[test]
fn an_engine_that_ended_is_no_harm() {
    let bench = bench();
    assert_eq!(bench.run(&["run", "a.gguf", "-q", "--", "true"]).status, 0);
    let looked = bench.run(&["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&looked.stdout).unwrap();
    assert_eq!(looked.status, 0, "{found}");
    assert_eq!(found["findings"], serde_json::json!([]));
}

#[test]
fn the_engine_is_this_very_process() {
    let bench = bench();
    let mut command = bench.command();
    command.args(["run", "a.gguf", "-q", "--", "sh", "-c", "ulimit -n; exec sleep 60"]);
    let (mut engine, limit) = started(&mut command);
    let here = finish(Command::new("sh").args(["-c", "ulimit -n"]));
    assert_eq!(limit, here.stdout.trim(), "the limit on open files is the engine's own again");
    let shown = bench.json(&["show", "a.gguf"]);
    assert_eq!(
        (&shown["leases"][0]["pid"], &shown["leases"][1]),
        (&engine.id().into(), &serde_json::Value::Null)
    );
    assert!(matches!(shown["leases"][0]["program"].as_str(), Some("sh" | "sleep")), "{shown}");
    let refused = bench.run(&["remove", "a.gguf"]);
    assert_eq!(refused.status, 9);
    assert!(refused.stderr.contains(&format!("process {}", engine.id())), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: stop what uses it"), "{}", refused.stderr);
    engine.kill().unwrap();
    assert_eq!(engine.wait().unwrap().signal(), Some(9), "no process stands in between");
    assert_eq!(bench.json(&["show", "a.gguf"])["leases"], serde_json::Value::Null);
    assert_eq!(bench.run(&["remove", "a.gguf"]).status, 0);
}

#[test]
fn a_supervisor_hands_signals_on_and_ends_as_its_program_does() {
    let bench = bench();
    for (signal, script, expected) in [
        ("TERM", "trap 'exit 7' TERM; echo ready; for n in $(seq 2000); do sleep 0.01; done", 7),
        ("USR1", "trap 'exit 8' USR1; echo ready; for n in $(seq 2000); do sleep 0.01; done", 8),
        ("INT", "trap 'exit 9' INT; echo ready; for n in $(seq 2000); do sleep 0.01; done", 9),
        ("TERM", "echo ready; exec sleep 60", 128 + 15),
    ] {
        let mut command = bench.command();
        command.args(["run", "a.gguf", "-q", "--supervise", "--", "sh", "-c", script]);
        let (mut supervisor, ready) = started(&mut command);
        assert_eq!(ready, "ready");
        assert_eq!(bench.run(&["remove", "a.gguf"]).status, 9, "{signal}");
        finish(Command::new("kill").args([format!("-{signal}"), supervisor.id().to_string()]));
        assert_eq!(supervisor.wait().unwrap().code(), Some(expected), "{signal}");
    }
    assert_eq!(bench.run(&["run", "a.gguf", "-q", "--supervise", "--", "absent-program"]).status, 127);
    assert_eq!(bench.run(&["run", "a.gguf", "--supervise"]).status, 2);
}

#[test]
fn a_program_lives_on_with_its_lease_when_its_supervisor_is_killed() {
    let bench = bench();
    let mut command = bench.command();
    command.args(["run", "a.gguf", "-q", "--supervise", "--", "sh", "-c", "echo $$; exec sleep 60"]);
    let (mut supervisor, pid) = started(&mut command);
    let is_named = || bench.json(&["show", "a.gguf"])["leases"][0]["pid"] == pid.parse::<u32>().unwrap();
    assert!((0..1000).any(|_| is_named()), "the lease is the program's");
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    assert!(is_named());
    assert_eq!(bench.run(&["remove", "a.gguf"]).status, 9);
    finish(Command::new("kill").args(["-KILL", &pid]));
    let is_gone = || bench.run(&["remove", "a.gguf"]).status == 0;
    assert!((0..1000).any(|_| is_gone()), "the lease ends with the program");
}

#[test]
fn without_a_program_the_lease_lasts_as_long_as_the_input() {
    let bench = bench();
    let (mut holder, path) = started(bench.command().args(["run", "a.gguf", "-q"]));
    assert_eq!(path, bench.path("a.gguf").display().to_string());
    assert!(bench.path(".runtime/engines/llamacpp.json").exists());
    assert_eq!(bench.run(&["remove", "a.gguf"]).status, 9);
    drop(holder.stdin.take());
    assert_eq!(holder.wait().unwrap().code(), Some(0));
    assert_eq!(bench.run(&["remove", "a.gguf"]).status, 0);
}

#[test]
fn a_handoff_that_nobody_asked_for_stops_no_engine() {
    let bench = bench();
    bench.file(".runtime", "in the way");
    let ran = bench.run(&["run", "a.gguf", "--", "echo", "started"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "started\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: the handoff `"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: ") && ran.stderr.contains("`--handoff`"), "{}", ran.stderr);
    let named = bench.run(&["run", "a.gguf", "-q", "--", "echo", "{handoff}"]);
    assert_eq!((named.status, named.stdout.as_str()), (8, ""), "{}", named.stderr);
    let asked = bench.run(&["run", "a.gguf", "-q", "--handoff", ".runtime/engine.json", "--", "echo"]);
    assert_eq!(asked.status, 8, "{}", asked.stderr);
}

#[test]
fn engines_of_one_folder_read_their_own_handoffs() {
    let bench = bench();
    bench.file("b.gguf", TINY_GGUF);
    let handoff = |model| {
        let ran = bench.run(&["run", model, "-q", "--", "echo", "{handoff}"]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        std::path::PathBuf::from(ran.stdout.trim())
    };
    let (first, second) = (handoff("a.gguf"), handoff("b.gguf"));
    for (handoff, model) in [(&first, "a.gguf"), (&second, "b.gguf")] {
        let written: serde_json::Value = serde_json::from_slice(&fs_err::read(handoff).unwrap()).unwrap();
        assert_eq!(written["model"]["path"], bench.path(model).to_str().unwrap());
        assert_eq!(handoff.parent().unwrap(), bench.path(".runtime/engines"));
    }
    assert_eq!(handoff("a.gguf"), first, "an engine that is started again leaves no further file");
    assert_eq!(fs_err::read_dir(bench.path(".runtime/engines")).unwrap().count(), 2);
}

#[test]
fn a_model_that_fails_is_never_run() {
    let bench = bench();
    let ran = bench.run(&["run", "a.gguf", "--sha256", &"0".repeat(64), "--", "touch", "ran"]);
    assert_eq!(ran.status, 4);
    assert!(!bench.path("ran").exists() && !bench.path(".runtime").exists());
}

/// Starts a command that waits for a reader of the warning that the default handoff cannot be written: the last work of `run`.
#[cfg(target_os = "linux")]
fn waits_for_a_reader(bench: &Fixture, options: &[&str]) -> (Child, PipeReader) {
    bench.file(".runtime", "no folder");
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(b".").is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    let mut command = bench.command();
    command.args(["run", "a.gguf", "--sha256", TINY_SHA256]).args(options).args(["--", "echo", "engine"]);
    let child = command.stdout(Stdio::piped()).stderr(writer).spawn().unwrap();
    let waits = format!("{} 0x2 ", libc::SYS_write);
    let doing = format!("/proc/{}/syscall", child.id());
    while !fs_err::read_to_string(&doing).unwrap().starts_with(&waits) {
        thread::yield_now();
    }
    (child, reader)
}

#[cfg(target_os = "linux")]
#[test]
fn no_engine_starts_for_a_supervisor_that_has_sent_the_signal_to_end() {
    for options in [&["--supervise"][..], &[]] {
        let bench = bench();
        let (child, mut reader) = waits_for_a_reader(&bench, options);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        let said = said.trim_start_matches('.');
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.stdout, b"", "{options:?}: {said}");
        assert_eq!(done.status.signal(), Some(Signal::TERM.as_raw()), "{options:?}: {said}");
        assert!(said.ends_with("error: terminated\n"), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_second_signal_ends_a_command_whose_output_nobody_reads() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let bench = bench();
        let (mut child, _reader) = waits_for_a_reader(&bench, &[]);
        // Two signals that come before the process gets the first one are one.
        let mut ended = None;
        for _ in 0..1000 {
            kill_process(Pid::from_child(&child), signal).unwrap();
            thread::sleep(Duration::from_millis(5));
            ended = child.try_wait().unwrap();
            if ended.is_some() {
                break;
            }
        }
        child.kill().unwrap();
        assert_eq!(ended.and_then(|ended| ended.code()), Some(status), "{ended:?}");
    }
}

#[test]
fn a_signal_that_the_parent_process_ignores_stays_ignored() {
    let bench = bench();
    let command = bench.command();
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", r#"trap "" TERM; exec "$0" run a.gguf -q"#]).arg(command.get_program());
    ignoring.current_dir(command.get_current_dir().unwrap());
    ignoring.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (mut child, _) = started(&mut ignoring);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
