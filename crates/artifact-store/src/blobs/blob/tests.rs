use super::*;
use crate::fixture::{insert, sha256};

#[test]
fn a_blob_is_read_only_old_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("store-v1"));
    assert!(store.blob(&sha256(b"x")).unwrap().is_none());
    let blob = insert(&store, b"bytes");
    assert_eq!(store.blob(&sha256(b"bytes")).unwrap(), Some(blob.clone()));
    assert_eq!(fs_err::metadata(&blob.path).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(insert(&store, b"bytes"), blob, "it is held once");
}

#[test]
fn what_a_commit_that_fails_leaves_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    let (data, obstacle) = (dir.path().join("data"), dir.path().join("blobs"));
    fs_err::write(&data, "bytes").unwrap();
    std::os::unix::fs::symlink("nowhere", &obstacle).unwrap();
    store.insert(&data, &sha256(b"bytes")).unwrap_err();
    let mode = fs_err::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o200, 0o200, "{mode:o}");
    fs_err::remove_file(&obstacle).unwrap();
    store.insert(&data, &sha256(b"bytes")).unwrap();
}

#[test]
fn a_blob_with_other_bytes_goes_to_the_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    let blob = insert(&store, b"bytes");
    fs_err::set_permissions(&blob.path, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&blob.path, b"bytEs").unwrap();
    assert!(store.blob(&sha256(b"bytes")).unwrap().is_none());
    assert!(!blob.path.exists() && dir.path().join("quarantine").exists());
    assert!(!stamp_path(&blob.path).exists(), "nothing is left that a look would wonder at");
}

#[test]
fn a_lost_stamp_costs_one_reading() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    let blob = insert(&store, b"bytes");
    fs_err::remove_file(stamp_path(&blob.path)).unwrap();
    assert_eq!(store.blob(&sha256(b"bytes")).unwrap(), Some(blob.clone()));
    assert!(stamp_path(&blob.path).exists());
}
