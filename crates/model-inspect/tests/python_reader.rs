//! The same values as the `gguf` Python package reads, field by field.
//!
//! The vectors in `tests/vectors` were written and read by that package. The tests that run it are ignored where it is
//! not: `tests/oracle/prepare.sh` brings it, and the 19 vocabularies of llama.cpp, into `target/oracle`; then
//! `cargo test -p model-inspect -- --ignored` runs them.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use model_inspect::{Error, gguf::Header, inspect};
use serde_json::{Map, Value};
use testkit::FakeModel;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Ours, without what the other reader does not compute: memory, whose weights must be the sum of its tensors.
fn ours(path: &Path) -> Value {
    let mut found = serde_json::to_value(inspect(path).unwrap().details).unwrap();
    let memory = found.as_object_mut().unwrap().remove("memory");
    let types = found.get("tensor_types").and_then(Value::as_object);
    let weights: Option<u64> =
        types.map(|types| types.values().filter_map(|kind| kind["bytes"].as_u64()).sum());
    let said = memory.as_ref().and_then(|memory| memory.get("weights_bytes")).and_then(Value::as_u64);
    assert_eq!(said, weights, "{}", path.display());
    found
}

fn compare(theirs: &Map<String, Value>, folder: &Path) {
    for (name, expected) in theirs {
        let found = ours(&folder.join(name));
        let expected = expected.as_object().unwrap();
        for (field, value) in expected {
            assert_eq!(found.get(field), Some(value), "{name}: {field}");
        }
        assert_eq!(found.as_object().unwrap().len(), expected.len(), "{name}: {found}");
    }
}

/// What the Python reader says of all GGUF files of a folder.
fn theirs(folder: &Path) -> Map<String, Value> {
    let mut files: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "gguf"));
    let python = here("../../target/oracle/venv/bin/python");
    let output =
        Command::new(python).arg("-B").arg(here("tests/oracle/facts.py")).args(&files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read.len(), files.len());
    read
}

#[test]
fn vectors() {
    let facts: Map<String, Value> =
        serde_json::from_slice(&fs_err::read(here("tests/vectors/facts.json")).unwrap()).unwrap();
    assert_eq!(facts.len(), 2);
    compare(&facts, &here("tests/vectors"));
}

#[test]
fn big_endian_is_named() {
    let bytes = fs_err::read(here("tests/vectors/big-endian.gguf")).unwrap();
    let error = Header::read(&mut bytes.as_slice()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert_eq!(error.to_string(), "is big-endian GGUF, version 3, and little-endian files are read");
}

#[test]
#[ignore = "needs the gguf Python package: tests/oracle/prepare.sh"]
fn models_that_we_write() {
    let dir = tempfile::tempdir().unwrap();
    FakeModel::gguf().write_to(dir.path(), "tiny").unwrap();
    FakeModel::gguf().name("Another").seed(9).write_to(dir.path(), "other").unwrap();
    compare(&theirs(dir.path()), dir.path());
}

#[test]
#[ignore = "needs the gguf Python package and the vocabularies of llama.cpp: tests/oracle/prepare.sh"]
fn real_headers() {
    let folder = here("../../target/oracle/models");
    let facts = theirs(&folder);
    assert!(facts.len() >= 19, "{} files", facts.len());
    compare(&facts, &folder);
}
