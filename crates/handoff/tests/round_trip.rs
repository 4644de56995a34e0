//! A handoff is written whole, read back, and says when a file is no longer the one that was verified.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{os::unix::fs::MetadataExt, path::Path};

use handoff::{Error, Handoff, read, write};
use provisioner_core::{CatalogRecord, Outcome, ResolvedModel};

fn model(path: &Path) -> ResolvedModel {
    let metadata = fs_err::metadata(path).unwrap();
    let ns = |seconds: i64, nanoseconds: i64| seconds * 1_000_000_000 + nanoseconds;
    let record: CatalogRecord = serde_json::from_value(serde_json::json!({
        "id": format!("local:{}", path.display()), "local_path": path, "lifecycle": "Active",
        "size_bytes": metadata.len(), "format": "gguf", "entry": path.file_name().unwrap().to_str().unwrap(),
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "digest": { "algo": "sha256", "value": "ab".repeat(32) },
        "files": [{ "path": path.file_name().unwrap().to_str().unwrap(), "settled": true, "format": "gguf", "stamp": {
            "size": metadata.len(), "dev": metadata.dev(), "inode": metadata.ino(),
            "mtime_ns": ns(metadata.mtime(), metadata.mtime_nsec()),
            "ctime_ns": ns(metadata.ctime(), metadata.ctime_nsec()) } }],
        "verification": { "outcome": "pass", "basis": "pinned", "reason": "r", "verified_at": "2026-01-01T00:00:00Z" },
    }))
    .unwrap();
    ResolvedModel::new(record, true)
}

#[test]
fn says_what_the_design_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gguf");
    fs_err::write(&path, "GGUF").unwrap();
    let dest = dir.path().join("deep/er/handoff.json");
    write(&Handoff::of(&model(&path)), &dest).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&fs_err::read(&dest).unwrap()).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["model"], serde_json::json!({ "id": format!("local:{}", path.display()), "path": path }));
    assert_eq!(json["metadata"], serde_json::json!({ "size_bytes": 4, "format": "gguf" }));
    assert_eq!(json["verification"]["basis"], "pinned");
    assert_eq!(json["verification"]["digest"]["algo"], "sha256");
    assert_eq!(json["verification"]["files"][0]["inode"], fs_err::metadata(&path).unwrap().ino());
    assert_eq!(read(&dest).unwrap(), Handoff::of(&model(&path)));
    let names: Vec<_> = fs_err::read_dir(dest.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing else is left in the folder");
}

#[test]
fn the_proof_breaks_when_the_file_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gguf");
    let changed = |what: &str, change: &dyn Fn()| {
        fs_err::write(&path, "GGUF").unwrap();
        let handoff = Handoff::of(&model(&path));
        handoff.check().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        change();
        match handoff.check() {
            Err(Error::Changed { what: said, .. }) => assert_eq!(said, what),
            other => panic!("{what}: {other:?}"),
        }
    };
    changed("its size changed", &|| fs_err::write(&path, "GGUF!").unwrap());
    changed("it was modified", &|| fs_err::write(&path, "GGUX").unwrap());
    changed("its inode changed", &|| {
        let times = fs_err::metadata(&path).unwrap().modified().unwrap();
        fs_err::write(&path, "GGUX").unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_modified(times).unwrap();
    });
    changed("another file took its place", &|| {
        fs_err::write(dir.path().join("b"), "GGUF").unwrap();
        fs_err::rename(dir.path().join("b"), &path).unwrap();
    });
    changed("it is gone", &|| fs_err::remove_file(&path).unwrap());
}

#[test]
fn a_proof_of_something_else_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gguf");
    fs_err::write(&path, "GGUF").unwrap();
    let handoff = Handoff::of(&model(&path));
    let refused = |change: &dyn Fn(&mut Handoff), said: &str| {
        let mut other = handoff.clone();
        change(&mut other);
        match other.check() {
            Err(error @ Error::Unproven { .. }) => {
                assert!(error.to_string().contains(said), "{said}: {error}");
                assert_eq!((error.code().as_str(), error.hint().is_some()), ("unproven", true));
            }
            other => panic!("{said}: {other:?}"),
        }
    };
    handoff.check().unwrap();
    refused(&|handoff| handoff.schema_version = 0, "schema 0");
    refused(&|handoff| handoff.schema_version = 2, "schema 2");
    refused(&|handoff| handoff.verification.outcome = Outcome::Fail, "its verification failed: r");
    refused(&|handoff| handoff.verification.files.clear(), "a.gguf` is not among its files");
    refused(&|handoff| handoff.model.path = dir.path().join("b.gguf"), "b.gguf` is not among its files");
    refused(&|handoff| handoff.model.path = "a.gguf".into(), "not an absolute path");
    refused(&|handoff| handoff.model.mmproj = Some(dir.path().join("m.gguf")), "m.gguf` is not among");
    let folder = |path: &Path| {
        let mut folder = handoff.clone();
        folder.model.path = path.to_owned();
        folder
    };
    folder(dir.path()).check().unwrap();
    let elsewhere = dir.path().join("x");
    refused(&|handoff| *handoff = folder(&elsewhere), "x` is not among its files");
    let beside = |handoff: &mut Handoff| {
        *handoff = folder(&elsewhere);
        handoff.verification.files[0].path = elsewhere.join("../a.gguf");
    };
    refused(&beside, "not an absolute path without `..`");
}

#[test]
fn another_device_number_is_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gguf");
    fs_err::write(&path, "GGUF").unwrap();
    let mut handoff = Handoff::of(&model(&path));
    handoff.verification.files[0].stamp.dev += 1;
    handoff.check().unwrap();
}

#[test]
fn what_is_no_handoff_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.json");
    assert!(matches!(read(&path), Err(Error::Read { .. })));
    for bad in ["", "{", "[]", "{\"schema_version\": 1}"] {
        fs_err::write(&path, bad).unwrap();
        assert!(matches!(read(&path), Err(Error::Malformed { .. })), "{bad}");
    }
    let mut old = serde_json::to_value(Handoff::of(&model(&path))).unwrap();
    old["schema_version"] = 0.into();
    fs_err::write(&path, old.to_string()).unwrap();
    assert!(matches!(read(&path), Err(Error::Malformed { .. })));
    fs_err::write(&path, "{\"schema_version\": 2}").unwrap();
    assert!(matches!(read(&path), Err(Error::Newer { found: 2, known: 1, .. })));
    fs_err::create_dir(dir.path().join("folder")).unwrap();
    fs_err::write(dir.path().join("a"), "x").unwrap();
    let handoff = Handoff::of(&model(&dir.path().join("a")));
    assert!(matches!(write(&handoff, &dir.path().join("folder")), Err(Error::Write { .. })));
    assert!(matches!(write(&handoff, &dir.path().join("a/b/c.json")), Err(Error::Write { .. })));
}
