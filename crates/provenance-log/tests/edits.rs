//! Any line that another program changed, removed, repeated or moved is named; with the head kept outside, so is any edit at all.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use proptest::prelude::*;
use provenance_log::{Durability, FaultKind, Log, Position, Report};
use serde_json::json;

const WAIT: Duration = Duration::from_secs(10);

/// Holds the lines of a log with their newlines, by file, as an editor sees them.
type Files = Vec<(PathBuf, Vec<Vec<u8>>)>;

/// Writes a log of some lines, with torn tails among them, that rotates.
fn written(folder: &Path, count: usize, torn_after: &[usize], rotate_bytes: u64) -> Log {
    let log = Log::new(folder).rotating_at(rotate_bytes);
    for n in 0..count {
        let what = json!({ "action": "ensure", "id": format!("local:/models/{n}.gguf"), "n": n });
        log.append(&what, Durability::Later, WAIT).unwrap();
        if torn_after.contains(&n) {
            let mut file = fs_err::OpenOptions::new().append(true).open(log.path()).unwrap();
            file.write_all(br#"{"v":1,"seq":9,"pre"#).unwrap();
        }
    }
    log
}

fn read(log: &Log) -> Files {
    let paths = log.earlier_files().unwrap().into_iter().chain([log.path()]);
    let lines = |path: PathBuf| {
        let bytes = fs_err::read(&path).unwrap();
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        (path, lines)
    };
    paths.map(lines).collect()
}

fn write(files: &Files) {
    for (path, lines) in files {
        fs_err::write(path, lines.concat()).unwrap();
    }
}

fn verify(log: &Log) -> Report {
    log.verify(WAIT, &mut |_| true).unwrap()
}

/// Returns whether the log still has a line.
fn holds(log: &Log, position: Position) -> bool {
    let mut is_there = false;
    let report = log
        .verify(WAIT, &mut |line| {
            is_there |= line.position == Some(position);
            true
        })
        .unwrap();
    report.fault.is_none() && is_there
}

/// Returns the places of the lines of the chain: the file, and the index in it.
fn chained(files: &Files) -> Vec<(usize, usize)> {
    let of_file = |(at, (_, lines)): (usize, &(PathBuf, Vec<Vec<u8>>))| {
        let is_line = |line: &Vec<u8>| line.ends_with(b"}\n");
        let found: Vec<_> =
            (0..lines.len()).filter(|index| is_line(&lines[*index])).map(|n| (at, n)).collect();
        found
    };
    files.iter().enumerate().flat_map(of_file).collect()
}

/// Returns the place of what has come to the place of a line that is gone: of a torn tail that no line tells of any more, or of
/// the next line, which may be the first of the next file.
fn behind(files: &Files, (file, index): (usize, usize)) -> (usize, usize) {
    let is_line = |(file, index): (usize, usize)| files[file].1[index].ends_with(b"}\n");
    let next = match index < files[file].1.len() {
        true => (file, index),
        false if index > 0 && !is_line((file, index - 1)) => return (file, index - 1),
        false => (file + 1, 0),
    };
    if is_line(next) { next } else { (next.0, next.1 + 1) }
}

/// Fails unless the report names a line, or the torn tail before it.
#[track_caller]
fn names(report: &Report, files: &Files, (file, index): (usize, usize)) -> Result<(), TestCaseError> {
    let Some(fault) = &report.fault else { return Err(TestCaseError::fail("nothing is found")) };
    let is_torn = index > 0 && !files[file].1[index - 1].ends_with(b"}\n");
    let first = if is_torn { index } else { index + 1 };
    let line = usize::try_from(fault.line).unwrap();
    prop_assert_eq!(&fault.file, &files[file].0, "{}", fault);
    prop_assert!((first..=index + 1).contains(&line), "{fault} is not line {}", index + 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_is_named(
        count in 4usize..40,
        torn in prop::collection::vec(0usize..40, 0..3),
        rotate in prop::sample::select(vec![600u64, 2_000, 1 << 20]),
        edit in 0usize..5,
        (one, two, byte) in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        flip in 1u8..=255,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let log = written(dir.path(), count, &torn.iter().filter(|n| **n + 1 < count).copied().collect::<Vec<_>>(), rotate);
        let report = verify(&log);
        prop_assert_eq!(&report.fault, &None);
        prop_assert_eq!(report.lines, count as u64);
        let head = report.head.unwrap();
        prop_assert!(holds(&log, head));

        let mut files = read(&log);
        let lines = chained(&files);
        let (one, two) = (one.index(count - 1), two.index(count - 1));
        let (at, other) = (lines[one.min(two)], lines[one.max(two)]);
        let line = files[at.0].1[at.1].clone();
        match edit {
            // Another byte.
            0 => {
                let index = byte.index(line.len() - 1);
                let changed = line[index] ^ flip;
                prop_assume!(changed != b'\n');
                files[at.0].1[at.1][index] = changed;
                write(&files);
                names(&verify(&log), &files, at)?;
            }
            // One line less. The one behind it is named, which may be the first of the next file.
            1 => {
                files[at.0].1.remove(at.1);
                write(&files);
                let next = behind(&files, at);
                names(&verify(&log), &files, next)?;
            }
            // The same line again, behind a later one.
            2 => {
                files[other.0].1.insert(other.1 + 1, line);
                write(&files);
                names(&verify(&log), &files, (other.0, other.1 + 1))?;
            }
            // Two lines that change places.
            3 => {
                prop_assume!(at != other);
                files[at.0].1[at.1] = std::mem::replace(&mut files[other.0].1[other.1], line);
                write(&files);
                names(&verify(&log), &files, at)?;
            }
            // A cut tail, which only the head tells.
            _ => {
                let last = files.len() - 1;
                let lines = &mut files[last].1;
                let keep = byte.index(lines.len());
                lines.truncate(keep);
                write(&files);
            }
        }
        prop_assert!(!holds(&log, head), "an edit is not found by the head");
    }
}

#[test]
fn an_edit_of_the_last_line_is_found_by_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path(), 3, &[], 1 << 20);
    let head = log.head(WAIT).unwrap().unwrap().position;
    let text = fs_err::read_to_string(log.path()).unwrap();
    fs_err::write(log.path(), text.replace("/2.gguf", "/9.gguf")).unwrap();
    assert_eq!(verify(&log).fault, None);
    assert!(!holds(&log, head));
}

#[test]
fn a_last_line_with_another_number_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path(), 3, &[], 1 << 20);
    let text = fs_err::read_to_string(log.path()).unwrap();
    fs_err::write(log.path(), text.replace("\"seq\":3", "\"seq\":7")).unwrap();
    let fault = verify(&log).fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Changed, 3));
}

#[test]
fn a_log_that_is_written_anew_is_found_by_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let head = written(dir.path(), 5, &[], 1 << 20).head(WAIT).unwrap().unwrap().position;
    fs_err::remove_file(dir.path().join("provenance.jsonl")).unwrap();
    let log = written(dir.path(), 9, &[2], 1 << 20);
    assert!(verify(&log).fault.is_none() && !holds(&log, head));
}

#[test]
fn a_line_that_was_put_in_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path(), 5, &[], 1 << 20);
    let mut files = read(&log);
    files[0].1.insert(2, b"{\"at\":\"2026-01-01T00:00:00Z\",\"action\":\"ensure\"}\n".to_vec());
    write(&files);
    let fault = verify(&log).fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Foreign, 3));
    assert_eq!(fault.what, "it is not a line of the log");
}

#[test]
fn a_file_that_is_gone_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path(), 30, &[], 600);
    let earlier = log.earlier_files().unwrap();
    assert!(earlier.len() > 3, "{earlier:?}");
    for gone in [0, 1, earlier.len() - 1] {
        let aside = dir.path().join("aside");
        fs_err::rename(&earlier[gone], &aside).unwrap();
        let fault = verify(&log).fault.unwrap();
        let name = earlier[gone].file_name().unwrap().to_str().unwrap();
        assert_eq!((fault.kind, fault.line), (FaultKind::Missing, 1), "{fault}");
        assert!(fault.what.contains(name), "{fault}");
        fs_err::rename(&aside, &earlier[gone]).unwrap();
    }
    assert_eq!(verify(&log).fault, None);
}

#[test]
fn a_line_of_a_newer_release_is_told_and_not_written_behind() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path(), 2, &[], 1 << 20);
    let mut file = fs_err::OpenOptions::new().append(true).open(log.path()).unwrap();
    file.write_all(b"{\"v\":2,\"number\":3}\n").unwrap();
    let fault = verify(&log).fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Newer, 3));
    let refused = log.append(&json!({}), Durability::Later, WAIT).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("`{}` has lines of version 2, and this release knows version 1", log.path().display())
    );
}
