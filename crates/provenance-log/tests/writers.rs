//! Writers leave a chain that verifies, whenever they die and however many there are.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{io::Write, path::Path, thread, time::Duration};

use provenance_log::{Durability, FaultKind, Log, Position, Report};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const WAIT: Duration = Duration::from_secs(60);

fn append(log: &Log, id: &str) -> Position {
    log.append(
        &json!({ "at": "2026-01-01T00:00:00Z", "action": "ensure", "id": id }),
        Durability::Synced,
        WAIT,
    )
    .unwrap()
}

fn verify(log: &Log) -> Report {
    log.verify(WAIT, &mut |_| true).unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    fs_err::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[test]
fn each_line_names_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path());
    let positions: Vec<_> = ["a", "b", "c"].iter().map(|id| append(&log, id)).collect();
    let lines = lines(&log.path());
    let first = format!(
        r#"{{"v":1,"seq":1,"prev":"{}","pid":{},"action":"ensure","at":"2026-01-01T00:00:00Z","id":"a"}}"#,
        "0".repeat(64),
        std::process::id()
    );
    assert_eq!(lines[0], first);
    for (n, pair) in lines.windows(2).enumerate() {
        let next: Value = serde_json::from_str(&pair[1]).unwrap();
        assert_eq!(next["prev"], sha256(&pair[0]));
        assert_eq!(next["seq"], n + 2);
        assert_eq!(positions[n].hex(), sha256(&pair[0]));
    }
    let report = verify(&log);
    assert_eq!((report.head, report.lines, report.files), (Some(positions[2]), 3, 1));
    assert_eq!(log.head(WAIT).unwrap().unwrap().position, positions[2]);
}

#[test]
fn a_tail_that_is_torn_at_any_byte_is_told_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path());
    append(&log, "a");
    let before = fs_err::read(log.path()).unwrap();
    append(&log, "b");
    let whole = fs_err::read(log.path()).unwrap();
    for len in before.len()..=whole.len() {
        fs_err::write(log.path(), &whole[..len]).unwrap();
        let torn = &whole[before.len()..len];
        let is_whole = whole.len() - len <= 1;
        let head = log.head(WAIT).unwrap().unwrap();
        assert_eq!(head.torn_bytes, if is_whole { 0 } else { torn.len() as u64 }, "{len}");
        assert_eq!(verify(&log).fault, None, "{len}: a torn tail alone");
        append(&log, "c");
        let report = verify(&log);
        assert_eq!(report.fault, None, "{len}");
        let found = fs_err::read(log.path()).unwrap();
        assert!(found.starts_with(&whole[..len]), "nothing is cut");
        let last: Value = serde_json::from_str(lines(&log.path()).last().unwrap()).unwrap();
        if torn.is_empty() || is_whole {
            assert_eq!((report.torn, &last["torn"]), (0, &Value::Null), "{len}");
        } else {
            assert_eq!(last["torn"], json!({ "bytes": torn.len(), "sha256": sha256(torn) }), "{len}");
            assert_eq!((report.torn, report.lines), (1, 2));
        }
    }
}

#[test]
fn a_writer_that_dies_while_it_ends_a_torn_tail_is_told_too() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path());
    append(&log, "a");
    for torn in ["{\"v\":1,\"se", "\n", "\n{\"v\":1,\"seq\":2,\"pr"] {
        let mut file = fs_err::OpenOptions::new().append(true).open(log.path()).unwrap();
        file.write_all(torn.as_bytes()).unwrap();
    }
    append(&log, "b");
    let report = verify(&log);
    assert_eq!((report.fault, report.lines, report.torn), (None, 2, 1));
    // What the line says of the torn bytes is checked.
    let text = fs_err::read_to_string(log.path()).unwrap().replace("{\"v\":1,\"se\n", "{\"v\":1,\"sE\n");
    fs_err::write(log.path(), text).unwrap();
    let fault = verify(&log).fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Changed, 2));
}

#[test]
fn a_log_without_a_chain_goes_on_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path());
    let old =
        "{\"at\":\"2026-01-01T00:00:00Z\",\"action\":\"ensure\",\"id\":\"x\"}\n".repeat(40_000) + "{\"at\":";
    fs_err::write(log.path(), &old).unwrap();
    let report = verify(&log);
    assert_eq!((report.fault, report.head, report.unchained_bytes), (None, None, old.len() as u64));
    append(&log, "a");
    append(&log, "b");
    let text = fs_err::read_to_string(log.path()).unwrap();
    let first: Value = serde_json::from_str(text.lines().nth(40_001).unwrap()).unwrap();
    assert_eq!(first["unchained"], json!({ "bytes": old.len(), "sha256": sha256(&old) }));
    assert_eq!((&first["seq"], &first["prev"]), (&json!(1), &json!("0".repeat(64))));
    let report = verify(&log);
    assert_eq!((report.fault, report.lines, report.unchained_bytes), (None, 2, old.len() as u64));
    fs_err::write(log.path(), text.replacen("\"id\":\"x\"", "\"id\":\"y\"", 1)).unwrap();
    assert_eq!(verify(&log).fault.unwrap().kind, FaultKind::Changed);
}

#[test]
fn a_long_log_becomes_a_file_of_earlier_lines() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path()).rotating_at(1_000);
    for n in 0..40 {
        append(&log, &n.to_string());
    }
    let earlier = log.earlier_files().unwrap();
    assert!(earlier.len() > 5, "{earlier:?}");
    let mut names = Vec::new();
    log.read(WAIT, &mut |line| {
        let line: Value = serde_json::from_slice(line.text).unwrap();
        names.push(line["id"].as_str().unwrap().to_owned());
        true
    })
    .unwrap();
    assert_eq!(names, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
    let first: Value = serde_json::from_str(&lines(&earlier[1])[0]).unwrap();
    let before = lines(&earlier[0]);
    let name = earlier[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(name, format!("provenance-1-{}.jsonl", before.len()));
    assert_eq!(first["after"], json!({ "file": name, "sha256": sha256(before.last().unwrap()) }));
    let report = verify(&log);
    assert_eq!((report.fault, report.lines, report.files), (None, 40, earlier.len() as u64 + 1));
}

#[test]
fn a_crash_at_each_step_of_a_rotation_is_gone_on_from() {
    let states: [(&str, Option<&str>); 4] = [
        ("renamed, and no file yet", None),
        ("an empty file", Some("")),
        ("a torn first line", Some("{\"v\":1,\"seq\":6,\"prev\":\"ab")),
        ("a first line without its newline's write", Some("{")),
    ];
    for (what, current) in states {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::new(dir.path());
        let positions: Vec<_> = (0..5).map(|n| append(&log, &n.to_string())).collect();
        let head = positions[4];
        fs_err::rename(log.path(), dir.path().join("provenance-1-5.jsonl")).unwrap();
        if let Some(text) = current {
            fs_err::write(log.path(), text).unwrap();
        }
        assert_eq!(log.head(WAIT).unwrap().unwrap().position, head, "{what}");
        assert_eq!(verify(&log).fault, None, "{what}");
        assert_eq!(append(&log, "next").seq, 6, "{what}");
        let report = verify(&log);
        assert_eq!((report.fault, report.lines), (None, 6), "{what}");
        let is_torn = current.is_some_and(|text| !text.is_empty());
        assert_eq!(report.torn, u64::from(is_torn), "{what}");
    }
}

#[test]
fn a_torn_tail_is_told_before_the_log_becomes_a_file_of_earlier_lines() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path()).rotating_at(100);
    append(&log, "a");
    fs_err::OpenOptions::new().append(true).open(log.path()).unwrap().write_all(b"{\"v\"").unwrap();
    append(&log, "b");
    assert_eq!(log.earlier_files().unwrap().len(), 0);
    append(&log, "c");
    assert_eq!(log.earlier_files().unwrap().len(), 1);
    let report = verify(&log);
    assert_eq!((report.fault, report.torn, report.lines), (None, 1, 3));
}

#[test]
fn two_writers_that_no_lock_kept_apart_are_a_fork_and_not_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path());
    append(&log, "a");
    let before = fs_err::read(log.path()).unwrap();
    append(&log, "b");
    let first = fs_err::read(log.path()).unwrap();
    fs_err::write(log.path(), &before).unwrap();
    append(&log, "c");
    let second = fs_err::read(log.path()).unwrap()[before.len()..].to_vec();
    fs_err::write(log.path(), [first, second].concat()).unwrap();
    append(&log, "d");
    let fault = verify(&log).fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Fork, 3));
    assert_eq!(fault.what, "another line is number 2 too, and names the same line before it");
    // A change is worse, and is named although it comes behind the fork.
    append(&log, "e");
    let text = fs_err::read_to_string(log.path()).unwrap();
    fs_err::write(log.path(), text.replace("\"id\":\"d\"", "\"id\":\"D\"")).unwrap();
    let fault = verify(&log).fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Changed, 4));
}

#[test]
fn two_first_lines_are_a_fork() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path());
    append(&log, "a");
    let first = fs_err::read(log.path()).unwrap();
    fs_err::remove_file(log.path()).unwrap();
    append(&log, "b");
    fs_err::write(log.path(), [first, fs_err::read(log.path()).unwrap()].concat()).unwrap();
    append(&log, "c");
    let fault = verify(&log).fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Fork, 2));
}

#[test]
fn many_writers_make_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path()).rotating_at(20_000);
    thread::scope(|scope| {
        for writer in 0..32 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..20 {
                    let what = json!({ "id": format!("{writer}/{n}") });
                    log.append(&what, Durability::Later, WAIT).unwrap();
                }
            });
        }
    });
    let report = verify(&log);
    assert_eq!((report.fault, report.lines), (None, 640));
    assert!(report.files > 1);
}

#[test]
fn the_end_of_a_log_is_found_behind_long_lines_and_long_junk() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path());
    append(&log, "a");
    for bytes in [5_000, 70_000, 2 << 20] {
        append(&log, &"x".repeat(bytes));
        append(&log, "short");
        let junk = "y".repeat(bytes) + "\nz";
        fs_err::OpenOptions::new().append(true).open(log.path()).unwrap().write_all(junk.as_bytes()).unwrap();
        append(&log, "behind");
    }
    let report = verify(&log);
    assert_eq!((report.fault, report.lines, report.torn), (None, 10, 3));
    let refused = log.append(&json!({ "id": "x".repeat(17 << 20) }), Durability::Later, WAIT).unwrap_err();
    assert!(refused.to_string().ends_with("is longer than the log takes"), "{refused}");
}

#[test]
fn a_reader_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(dir.path().join("absent"));
    assert_eq!(log.head(WAIT).unwrap(), None);
    assert_eq!(verify(&log), Report::default());
    assert!(!dir.path().join("absent").exists());
}
