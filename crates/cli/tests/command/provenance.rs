//! The chained log: what `provenance` prints, and what many processes, kills and lying locks leave of it.

use std::{
    io::Write,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use provenance_log::{Durability, FaultKind, Log, ROTATE_BYTES};
use serde_json::{Value, json};
use testkit::{TINY_GGUF, gguf};

use crate::fixture::{Finished, Fixture, finish};

fn bench() -> Fixture {
    let bench = Fixture::new();
    hand_off_twice(&bench);
    bench
}

fn hand_off_twice(bench: &Fixture) {
    bench.file("a.gguf", TINY_GGUF);
    for _ in 0..2 {
        assert_eq!(bench.run(&["ensure", "a.gguf", "-q", "--handoff", "engine.json"]).status, 0);
    }
}

fn log(bench: &Fixture) -> std::path::PathBuf {
    bench.cache().join("provenance.jsonl")
}

fn lines(bench: &Fixture) -> Vec<String> {
    fs_err::read_to_string(log(bench)).unwrap().split_inclusive('\n').map(str::to_owned).collect()
}

fn verify(bench: &Fixture) -> Finished {
    bench.run(&["provenance", "verify"])
}

#[test]
fn a_whole_log_is_ok_and_its_head_can_be_kept() {
    let bench = bench();
    let checkpoint = bench.run(&["provenance", "checkpoint"]).stdout;
    assert!(checkpoint.starts_with("4:") && checkpoint.trim().len() == 66, "{checkpoint}");
    let done = verify(&bench);
    assert_eq!((done.status, done.stdout), (0, format!("ok {checkpoint}")));
    assert_eq!(done.stderr, "4 lines in 1 file, 1 handoff\n");
    let document = bench.json(&["provenance", "verify", "--checkpoint", checkpoint.trim()]);
    assert_eq!((&document["ok"], &document["head"]["seq"]), (&json!(true), &json!(4)));
    let shown = bench.run(&["provenance", "show", "a.gguf"]);
    assert_eq!((shown.status, shown.stdout.lines().count()), (0, 4));
    assert!(shown.stdout.contains("handoff") && shown.stdout.contains("engine.json"), "{}", shown.stdout);
    let doctor = bench.run(&["doctor"]).stdout;
    assert!(doctor.contains(checkpoint.trim()), "{doctor}");
}

#[test]
fn a_statement_without_a_line_says_why_the_log_has_none() {
    let bench = bench();
    let pinned = ["--sha256", "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99", "-q"];
    assert_eq!(bench.run(&[&["ensure", "a.gguf"], &pinned[..]].concat()).status, 0);
    fs_err::rename(log(&bench), bench.path("elsewhere.jsonl")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere.jsonl"), log(&bench)).unwrap();
    let done = bench.run(&["attest", "a.gguf"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(done.stderr.contains("it is a symlink"), "{}", done.stderr);
}

#[test]
fn the_first_wrong_line_is_named_with_its_file() {
    let bench = bench();
    let (path, whole) = (log(&bench), lines(&bench));
    let check = |lines: Vec<String>, kind: &str, line: u64| {
        fs_err::write(&path, lines.concat()).unwrap();
        let done = verify(&bench);
        assert_eq!(done.status, 4, "{}", done.stdout);
        let start = format!("FAIL  {kind}: `{}` line {line}: ", path.display());
        assert!(done.stdout.starts_with(&start), "{start}: {}", done.stdout);
        assert!(done.stderr.starts_with("hint: "), "{}", done.stderr);
        let document = bench.json(&["provenance", "verify"]);
        assert_eq!((&document["ok"], &document["fault"]["line"]), (&json!(false), &json!(line)));
    };
    let mut changed = whole.clone();
    changed[1] = changed[1].replace("handoff", "hand0ff");
    check(changed, "changed", 2);
    let mut missing = whole.clone();
    missing.remove(1);
    check(missing, "missing", 2);
    let mut repeated = whole.clone();
    repeated.insert(2, repeated[1].clone());
    check(repeated, "repeated", 3);
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    check(swapped, "missing", 2);
}

#[test]
fn a_cut_tail_is_found_by_the_handoff_and_by_the_checkpoint() {
    let bench = bench();
    let checkpoint = bench.run(&["provenance", "checkpoint"]).stdout.trim().to_owned();
    fs_err::write(log(&bench), lines(&bench)[..3].concat()).unwrap();
    let done = bench.run(&["provenance", "verify", "--checkpoint", &checkpoint]);
    assert_eq!(done.status, 4, "{}", done.stdout);
    let expected = format!(
        "FAIL  cut: the checkpoint: the log had a line 4, and ends with line 3: its tail was cut\n\
         FAIL  cut: the handoff `{}`: the log had a line 4, and ends with line 3: its tail was cut\n",
        bench.path("engine.json").display()
    );
    assert_eq!(done.stdout, expected);
    // `verify` reads the bytes, which are right, and the handoffs of the model.
    let done = bench.run(&["verify", "a.gguf"]);
    assert_eq!(done.status, 4);
    assert!(
        done.stdout.contains("pass  ") && done.stdout.contains("\nFAIL  cut: the handoff"),
        "{}",
        done.stdout
    );
}

#[test]
fn what_is_no_checkpoint_and_no_model_of_the_log_is_refused() {
    let bench = Fixture::new();
    assert_eq!(bench.run(&["provenance", "checkpoint"]).status, 3);
    assert_eq!(verify(&bench).stdout, "ok 0\n");
    assert_eq!(bench.run(&["provenance", "verify", "--checkpoint", "12"]).status, 2);
    let done = bench.run(&["provenance", "show", "a.gguf"]);
    assert_eq!(done.status, 3, "{}", done.stderr);
    assert!(!bench.cache().exists(), "reading writes nothing");
}

/// Waits for a process, or kills it after a while.
fn finish_or_kill(mut child: Child, patience: Option<Duration>) {
    if let Some(patience) = patience {
        thread::sleep(patience);
        let _ = child.kill();
    }
    child.wait().unwrap();
}

/// Returns whether the log holds every line that was acknowledged, and a chain that is whole.
#[track_caller]
fn is_whole(bench: &Fixture) -> provenance_log::Report {
    let report = Log::new(bench.cache()).verify(Duration::from_secs(60), &mut |_| true).unwrap();
    assert_eq!(report.fault, None);
    report
}

#[test]
fn thirty_two_writers_with_kills_leave_a_chain_that_verifies() {
    let bench = Fixture::new();
    fill(&bench, 12_000);
    let names: Vec<_> = (0..8).map(|n| format!("{n}.gguf")).collect();
    for name in &names {
        bench.file(name, gguf(name));
        assert_eq!(bench.run(&["ensure", name, "-q"]).status, 0);
    }
    assert_eq!(is_whole(&bench).files, 1, "the writers begin the next file");
    thread::scope(|scope| {
        for process in 0..32u64 {
            let (bench, names) = (&bench, &names);
            scope.spawn(move || {
                for round in 0..4u64 {
                    let name = &names[usize::try_from((process + round) % 8).unwrap()];
                    let args = [["ensure", name], ["retire", name], ["activate", name], ["verify", name]];
                    let args = args[usize::try_from((process * 7 + round) % 4).unwrap()];
                    let mut command = bench.command();
                    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
                    let patience =
                        (process % 3 == 0).then(|| Duration::from_micros(process * 1_117 % 15_000));
                    finish_or_kill(command.spawn().unwrap(), patience);
                }
            });
        }
    });
    let report = is_whole(&bench);
    assert!(report.files == 2 && report.lines > 60, "{report:?}");
    let done = verify(&bench);
    assert!(done.status == 0 && done.stdout.starts_with("ok "), "{}{}", done.stdout, done.stderr);
}

/// Makes a log of what an earlier release may have written, so long that the line after so many bytes begins a new file.
/// The lines have no chain, so it costs a reader little to pass over them.
fn fill(bench: &Fixture, room_bytes: u64) {
    let mut text = vec![b'x'; usize::try_from(ROTATE_BYTES - room_bytes).unwrap()];
    text.chunks_mut(1 << 20).for_each(|line| *line.last_mut().unwrap() = b'\n');
    bench.file("cache/provenance.jsonl", text);
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn a_writer_killed_at_every_system_call_of_a_rotation_leaves_a_chain_that_verifies() {
    let bench = Fixture::new();
    fill(&bench, 4_000);
    hand_off_twice(&bench);
    // The file is long enough now, so that the next line begins a new one.
    let filled = Log::new(bench.cache()).rotating_at(u64::MAX);
    filled.append(&json!({ "id": "x".repeat(5_000) }), Durability::Synced, Duration::from_secs(60)).unwrap();
    let before = bench.path("before.jsonl");
    fs_err::copy(log(&bench), &before).unwrap();
    let restore = || {
        for path in Log::new(bench.cache()).earlier_files().unwrap() {
            fs_err::remove_file(path).unwrap();
        }
        fs_err::copy(&before, log(&bench)).unwrap();
    };
    let mut states = std::collections::BTreeSet::new();
    let mut kills = 0;
    for call in ["?open,openat", "write", "fsync,fdatasync", "?rename,renameat,renameat2", "flock"] {
        for count in 1..40 {
            restore();
            let mut strace = std::process::Command::new("strace");
            let inject = format!("inject={call}:signal=KILL:when={count}");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
            for path in [log(&bench), Log::new(bench.cache()).lock_path(), bench.cache()] {
                strace.arg("-P").arg(path);
            }
            let command = bench.command();
            strace.arg(command.get_program()).args(["retire", "a.gguf"]).current_dir(bench.path(""));
            strace.env("MODEL_PROVISIONER_CACHE_DIR", bench.cache());
            let ended = finish(&mut strace).status;
            let earlier = Log::new(bench.cache()).earlier_files().unwrap().len();
            states.insert((earlier, fs_err::metadata(log(&bench)).map_or(0, |found| found.len().min(2))));
            assert_eq!(bench.run(&["activate", "a.gguf"]).status, 0);
            let report = is_whole(&bench);
            assert_eq!(report.files, 2, "{call} number {count}");
            if ended != -1 && ended != 137 {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 5, "{kills}");
    // Before the rename; after it, without the file and with an empty one; and with a line in it.
    assert!(states.contains(&(0, 2)) && states.contains(&(1, 0)) && states.contains(&(1, 2)), "{states:?}");
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn locks_that_lie_leave_forks_and_no_change() {
    let bench = bench();
    let start = || {
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:retval=0"]);
        strace.arg(bench.command().get_program()).args(["ensure", "a.gguf", "-q"]);
        strace.current_dir(bench.path("")).env("MODEL_PROVISIONER_CACHE_DIR", bench.cache());
        strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for _ in 0..10 {
        let children: Vec<_> = (0..8).map(|_| start()).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
    }
    let report = Log::new(bench.cache()).verify(Duration::from_secs(60), &mut |_| true).unwrap();
    if let Some(fault) = report.fault {
        assert_eq!(fault.kind, FaultKind::Fork, "{fault}");
    }
}

#[test]
fn a_torn_tail_is_told_and_the_log_goes_on() {
    let bench = bench();
    std::fs::OpenOptions::new()
        .append(true)
        .open(log(&bench))
        .unwrap()
        .write_all(b"{\"v\":1,\"seq\":5")
        .unwrap();
    let done = verify(&bench);
    assert_eq!(done.status, 0);
    assert!(done.stderr.contains("a dead process left a part of a line at the end"), "{}", done.stderr);
    assert_eq!(bench.run(&["retire", "a.gguf"]).status, 0);
    let document = bench.json(&["provenance", "verify"]);
    assert_eq!((&document["ok"], &document["torn"]), (&json!(true), &json!(1)));
    let last: Value = serde_json::from_str(lines(&bench).last().unwrap()).unwrap();
    assert_eq!((&last["seq"], &last["torn"]["bytes"]), (&json!(5), &json!(14)));
}
