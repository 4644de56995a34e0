use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use provisioner_core::{Expectation, StagedModel, Stamp};

use super::*;
use crate::{
    fixture::{Fixture, inode, insert},
    layout::{REMOVED, SEAL},
};

/// Returns the same model, with its one file at a path.
fn staged_at(model: &VerifiedModel, location: &Path) -> VerifiedModel {
    let staged = model.staged();
    let file = StagedFile { location: location.into(), ..staged.files()[0].clone() };
    let staged = StagedModel::new(staged.manifest().clone(), vec![file]).unwrap();
    staged.judge(&Expectation::none(), &[], Timestamp::UNIX_EPOCH).unwrap()
}

#[test]
fn a_view_has_the_names_that_an_engine_expects() {
    let fixture = Fixture::new();
    let model = fixture.model("hf:org/repo", "abc", &[("config.json", "{}"), ("sub/a b.gguf", "GGUF")]);
    let record = fixture.commit(&model);
    let root = fixture.dir.path().join("store-v1/models/hf/org/repo/abc/all");
    assert_eq!(record.local_path, root);
    assert_eq!(fs_err::read(root.join("sub/a b.gguf")).unwrap(), b"GGUF");
    let metadata = fs_err::symlink_metadata(root.join("config.json")).unwrap();
    assert!(metadata.is_file() && metadata.nlink() == 2 && metadata.mode() & 0o777 == 0o444);
    assert_eq!(fs_err::metadata(&root).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(record.files[0].stamp.ctime_ns, None);
    assert_eq!(fixture.store.views().unwrap()[0].record, record);
    assert!(!fixture.dir.path().join("staged-0").exists(), "what was staged has moved");
}

#[test]
fn committing_again_changes_nothing() {
    let fixture = Fixture::new();
    let files = [("a", "one")];
    let first = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
    let before = inode(&first.local_path);
    let second = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
    assert_eq!((first, before), (second.clone(), inode(&second.local_path)));
}

#[test]
fn a_view_without_a_seal_is_no_view() {
    let fixture = Fixture::new();
    let files = [("a", "one")];
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
    fs_err::remove_file(record.local_path.join(SEAL)).unwrap();
    assert!(fixture.store.views().unwrap().is_empty());
    let again = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
    assert_eq!(again.local_path, record.local_path);
    assert_eq!(fixture.store.views().unwrap().len(), 1);
}

#[test]
fn a_view_in_use_is_repaired_where_it_lies() {
    let fixture = Fixture::new();
    let files = [("a", "one"), ("sub/b", "two")];
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
    let root = &record.local_path;
    let lease = fixture.store.lease(root, "hf:org/repo", std::time::Duration::ZERO).unwrap();
    let before = [root.clone(), root.join("a"), root.join("sub")].map(|path| inode(&path));
    let harms: [&dyn Fn(); 5] = [
        &|| {
            let file = fs_err::File::open(root.join("a")).unwrap();
            file.file().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        },
        &|| fs_err::remove_file(root.join(SEAL)).unwrap(),
        &|| fs_err::rename(root.join(SEAL), root.join(REMOVED)).unwrap(),
        &|| fs_err::remove_file(root.join("sub/b")).unwrap(),
        &|| {
            fs_err::remove_file(root.join("sub/b")).unwrap();
            fs_err::write(root.join("sub/b"), "owt").unwrap();
        },
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        harm();
        let again = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
        assert_eq!(
            [root.clone(), root.join("a"), root.join("sub")].map(|path| inode(&path)),
            before,
            "{number}"
        );
        for (name, text) in files {
            assert_eq!(fs_err::read(root.join(name)).unwrap(), text.as_bytes(), "{number}");
        }
        let now = |file: &provisioner_core::RecordedFile| {
            Stamp::of(&fs_err::metadata(root.join(&file.path)).unwrap())
        };
        assert!(again.files.iter().all(|file| file.stamp.difference(&now(file)).is_none()), "{number}");
        assert!(fixture.store.is_sealed(root) && !root.join(REMOVED).exists(), "{number}");
        assert!(!fixture.store.quarantined().exists(), "{number}");
    }
    drop(lease);
}

#[test]
fn a_view_of_other_files_in_use_is_not_replaced() {
    let fixture = Fixture::new();
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]));
    let other = || fixture.model("hf:org/repo", "abc", &[("b", "two")]);
    let lease = fixture.store.lease(&record.local_path, "hf:org/repo", std::time::Duration::ZERO).unwrap();
    let error = fixture.try_commit(&other()).unwrap_err();
    assert!(matches!(error, Error::Leased { .. }), "{error}");
    assert!(record.local_path.join("a").exists());
    drop(lease);
    assert!(fixture.commit(&other()).local_path.join("b").exists() && !record.local_path.join("a").exists());
}

#[test]
fn a_view_that_lacks_files_gets_them_where_it_lies() {
    let fixture = Fixture::new();
    let few = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("b", "two")]));
    let root = &few.local_path;
    let before = [root.clone(), root.join("b")].map(|path| inode(&path));
    let more = || fixture.model("hf:org/repo", "abc", &[("a", "one"), ("b", "two"), ("sub/c", "three")]);
    let lease = fixture.store.lease(root, "hf:org/repo", std::time::Duration::ZERO).unwrap();
    let error = fixture.try_commit(&more()).unwrap_err();
    assert!(matches!(error, Error::Leased { .. }) && !root.join("a").exists(), "{error}");
    drop(lease);
    let grown = fixture.commit(&more());
    assert_eq!([root.clone(), root.join("b")].map(|path| inode(&path)), before);
    assert_eq!(fs_err::read(root.join("sub/c")).unwrap(), b"three");
    assert_eq!(fixture.store.views().unwrap()[0].record, grown, "the seal names all files");
    assert!(!fixture.store.quarantined().exists());
}

#[test]
fn a_view_with_other_bytes_is_replaced() {
    let fixture = Fixture::new();
    let files = [("a", "one")];
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
    let file = record.local_path.join("a");
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&file, "two").unwrap();
    let again = fixture.commit(&fixture.model("hf:org/repo", "abc", &files));
    assert_eq!(fs_err::read(again.local_path.join("a")).unwrap(), b"one");
}

#[test]
fn a_view_that_was_copied_is_read_and_stays() {
    let fixture = Fixture::new();
    let model = || fixture.model("hf:org/repo", "abc", &[("a", "one")]);
    let first = fixture.commit(&model());
    let (file, copy) = (first.local_path.join("a"), fixture.dir.path().join("copy"));
    fs_err::copy(&file, &copy).unwrap();
    fs_err::rename(&copy, &file).unwrap();
    let again = fixture.commit(&model());
    assert_eq!(again.files[0].stamp.inode, inode(&file));
    assert_ne!(again.files, first.files);
    assert!(!fixture.store.quarantined().exists(), "nothing is wrong with it");
}

#[test]
fn a_blob_that_vanished_before_the_commit_is_told() {
    let fixture = Fixture::new();
    let blob = insert(&fixture.store, b"one");
    let model = fixture.model("hf:org/repo", "abc", &[("a", "one")]);
    // A process that need not fetch the blob finds it like this.
    let staged = staged_at(&model, &blob.path);
    fs_err::remove_file(&blob.path).unwrap();
    assert!(matches!(fixture.try_commit(&staged), Err(Error::Vanished { path }) if path == blob.path));
}

#[test]
fn a_view_whose_removal_was_begun_is_built_anew() {
    let fixture = Fixture::new();
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]));
    let root = &record.local_path;
    fs_err::rename(root.join(SEAL), root.join(REMOVED)).unwrap();
    assert!(!fixture.store.is_sealed(root));
    let again = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]));
    assert!(fixture.store.is_sealed(&again.local_path) && !root.join(REMOVED).exists());
    assert!(!fixture.store.quarantined().exists(), "nothing was wrong with it");
    fs_err::rename(root.join(SEAL), root.join(REMOVED)).unwrap();
    fixture.store.seal_again(&again).unwrap();
    assert!(fixture.store.is_sealed(root) && !root.join(REMOVED).exists());
}

#[test]
fn names_that_are_one_to_the_file_system_are_never_mixed_up() {
    let fixture = Fixture::new();
    let (one, two) = (insert(&fixture.store, b"one"), insert(&fixture.store, b"two"));
    let folder = tempfile::tempdir_in(fixture.dir.path()).unwrap();
    // A file system that does not tell letter case apart takes `A.gguf` and `a.gguf` for one name.
    let path = RelativePath::new("a.gguf").unwrap();
    let error = build(folder.path(), &[(&path, one.clone()), (&path, two)]).unwrap_err();
    assert!(error.code().as_str() == "storage-failed", "{error}");
    assert_eq!(fs_err::read(one.path).unwrap(), b"one", "the blob is whole");
}
