//! Each protection matters: without it, a test that the table names fails.
//!
//! `table.yaml` lists the protections, the text of the sources that each consists of, and the test that must fail without it.
//! The quick test here checks that all of that exists, and that `docs/guarantees.md` names it. `just controls` removes the
//! protections, one after the other, from a copy of the sources, and runs the tests.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod table;
mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    time::Instant,
};

use table::{TestName, controls, root};
use tree::{Outcome, Tree};

/// Returns the code spans in the rows of Markdown tables, without those of the first column.
fn code_spans(markdown: &str) -> Vec<String> {
    let rows = markdown.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    rows.flat_map(|(_, row)| row.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_guarantee_names_tests_and_controls_that_exist() {
    let guarantees = fs_err::read_to_string(root().join("docs/guarantees.md")).unwrap();
    let (mut tests, mut named) = (BTreeSet::new(), BTreeSet::new());
    for span in code_spans(&guarantees) {
        if span.contains(".rs::") {
            tests.insert(TestName::try_from(span).unwrap());
        } else {
            named.insert(span);
        }
    }
    let controls = controls();
    assert!(tests.len() > 20, "{} tests are named", tests.len());
    tests.extend(controls.iter().map(|control| control.test.clone()));
    let absent: Vec<_> = tests.iter().filter(|test| !test.exists()).collect();
    assert!(absent.is_empty(), "no such tests: {absent:#?}");
    let listed: BTreeSet<_> = controls.iter().map(|control| control.name.clone()).collect();
    assert_eq!(listed.len(), controls.len(), "a name stands twice");
    let differ: Vec<_> = listed.symmetric_difference(&named).collect();
    assert!(differ.is_empty(), "only in one of docs/guarantees.md and tests/controls/table.yaml: {differ:?}");
}

#[test]
fn every_protection_is_where_its_control_looks_for_it() {
    for control in controls() {
        let text = fs_err::read_to_string(root().join(&control.file)).unwrap();
        let count = text.matches(&control.take).count();
        assert_eq!(count, 1, "{}: `{}` in {}", control.name, control.take, control.file);
    }
}

/// Returns the names that the caller chose, or none.
#[expect(clippy::disallowed_methods, reason = "the person who runs the test says so")]
fn chosen() -> Vec<String> {
    let names = std::env::var("CONTROLS").unwrap_or_default();
    names.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn tell(line: &str) {
    // A test's output is held back; this goes on for an hour.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Returns the outcome of some work, and how many seconds it took.
fn timed<T>(what: impl FnOnce() -> T) -> (T, u64) {
    let begin = Instant::now();
    (what(), begin.elapsed().as_secs())
}

#[test]
#[ignore = "takes an hour: `just controls`"]
fn each_protection_is_missed_when_it_is_taken_away() {
    let chosen = chosen();
    let mut controls = controls();
    controls.retain(|control| chosen.is_empty() || chosen.contains(&control.name));
    assert!(!controls.is_empty(), "no control has a name out of {chosen:?}");
    let tree = Tree::copy(root());
    let mut whole = BTreeMap::new();
    for test in controls.iter().map(|control| &control.test).collect::<BTreeSet<_>>() {
        let (outcome, seconds) = timed(|| tree.run(test));
        tell(&format!("{seconds:>4} s  {outcome:?}  with everything in place: {}", test.name));
        whole.insert(test.clone(), outcome);
    }
    let mut wrong = Vec::new();
    for control in &controls {
        // A test that does not pass with the protection says nothing of it.
        if whole[&control.test] != Outcome::Passed {
            wrong.push((&control.name, &control.test, Outcome::Broken("fails in any case".to_owned())));
            continue;
        }
        let (outcome, seconds) = timed(|| tree.without(control, || tree.run(&control.test)));
        let is_right = outcome == Outcome::Failed;
        let word = if is_right { "missed" } else { "NOT MISSED" };
        tell(&format!("{seconds:>4} s  {word}  {}: {}", control.name, control.test.name));
        if !is_right {
            wrong.push((&control.name, &control.test, outcome));
        }
    }
    assert!(wrong.is_empty(), "taken away, and no test failed by an assertion: {wrong:#?}");
}
