use std::os::unix::fs::{MetadataExt, PermissionsExt};

use provisioner_core::{
    Entry, Expectation, Format, Locator, Manifest, ManifestFile, ModelRef, StagedFile, StagedModel,
};

use super::*;
use crate::blob::tests::{insert, sha256};

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store-v1"));
        Self { dir, store }
    }

    /// A model of these files, staged and judged.
    pub(crate) fn model(&self, id: &str, revision: &str, files: &[(&str, &str)]) -> VerifiedModel {
        let path = |name: &str| RelativePath::new(name).unwrap();
        let listed = files.iter().map(|(name, text)| ManifestFile {
            path: path(name),
            size: text.len() as u64,
            digest: Some(sha256(text.as_bytes())),
            locator: Locator::Stored,
        });
        let reference: ModelRef = id.parse().unwrap();
        let manifest =
            Manifest::new(reference, listed.collect(), Entry::Folder).unwrap().at_revision(revision);
        let staged = files.iter().enumerate().map(|(index, (name, text))| {
            let location = self.dir.path().join(format!("staged-{index}"));
            fs_err::write(&location, text).unwrap();
            StagedFile {
                path: path(name),
                stamp: Stamp::of(&fs_err::metadata(&location).unwrap()),
                location,
                settled: true,
                format: Format::Other,
                sha256: Some(sha256(text.as_bytes())),
                git_sha1: None,
            }
        });
        let staged = StagedModel::new(manifest, staged.collect()).unwrap();
        staged.judge(&Expectation::none(), &[], Timestamp::UNIX_EPOCH).unwrap()
    }

    pub(crate) fn commit(&self, model: &VerifiedModel) -> CatalogRecord {
        self.store.commit(model, Timestamp::UNIX_EPOCH).unwrap()
    }
}

/// The same model, with its one file where it lies.
fn staged_at(model: &VerifiedModel, location: &Path) -> VerifiedModel {
    let staged = model.staged();
    let file = StagedFile { location: location.to_owned(), ..staged.files()[0].clone() };
    let staged = StagedModel::new(staged.manifest().clone(), vec![file]).unwrap();
    staged.judge(&Expectation::none(), &[], Timestamp::UNIX_EPOCH).unwrap()
}

pub(crate) fn inode(path: &Path) -> u64 {
    fs_err::metadata(path).unwrap().ino()
}

#[test]
fn a_view_has_the_names_that_an_engine_expects() {
    let bench = Bench::new();
    let model = bench.model("hf:org/repo", "abc", &[("config.json", "{}"), ("sub/a b.gguf", "GGUF")]);
    let record = bench.commit(&model);
    let root = bench.dir.path().join("store-v1/models/hf/org/repo/abc/all");
    assert_eq!(record.local_path, root);
    assert_eq!(fs_err::read(root.join("sub/a b.gguf")).unwrap(), b"GGUF");
    let metadata = fs_err::symlink_metadata(root.join("config.json")).unwrap();
    assert!(metadata.is_file() && metadata.nlink() == 2 && metadata.mode() & 0o777 == 0o444);
    assert_eq!(fs_err::metadata(&root).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(record.files[0].stamp.ctime_ns, None);
    assert_eq!(bench.store.views().unwrap()[0].record, record);
    assert!(!bench.dir.path().join("staged-0").exists(), "what was staged has moved");
}

#[test]
fn committing_again_changes_nothing() {
    let bench = Bench::new();
    let files = [("a", "one")];
    let first = bench.commit(&bench.model("hf:org/repo", "abc", &files));
    let before = inode(&first.local_path);
    let second = bench.commit(&bench.model("hf:org/repo", "abc", &files));
    assert_eq!((first, before), (second.clone(), inode(&second.local_path)));
}

#[test]
fn a_view_without_a_seal_is_no_view() {
    let bench = Bench::new();
    let files = [("a", "one")];
    let record = bench.commit(&bench.model("hf:org/repo", "abc", &files));
    fs_err::remove_file(record.local_path.join(SEAL)).unwrap();
    assert!(bench.store.views().unwrap().is_empty());
    let again = bench.commit(&bench.model("hf:org/repo", "abc", &files));
    assert_eq!(again.local_path, record.local_path);
    assert_eq!(bench.store.views().unwrap().len(), 1);
}

#[test]
fn a_view_in_use_is_mended_where_it_lies() {
    let bench = Bench::new();
    let files = [("a", "one"), ("sub/b", "two")];
    let record = bench.commit(&bench.model("hf:org/repo", "abc", &files));
    let root = &record.local_path;
    let lease = bench.store.lease(root, "hf:org/repo", std::time::Duration::ZERO).unwrap();
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
        let again = bench.commit(&bench.model("hf:org/repo", "abc", &files));
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
        assert!(bench.store.is_sealed(root) && !root.join(REMOVED).exists(), "{number}");
        assert!(!bench.store.quarantined().exists(), "{number}");
    }
    drop(lease);
}

#[test]
fn a_view_of_other_files_in_use_is_not_replaced() {
    let bench = Bench::new();
    let record = bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]));
    let other = || bench.model("hf:org/repo", "abc", &[("b", "two")]);
    let lease = bench.store.lease(&record.local_path, "hf:org/repo", std::time::Duration::ZERO).unwrap();
    let error = bench.store.commit(&other(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(matches!(error, Error::Leased { .. }), "{error}");
    assert!(record.local_path.join("a").exists());
    drop(lease);
    assert!(bench.commit(&other()).local_path.join("b").exists() && !record.local_path.join("a").exists());
}

#[test]
fn a_view_with_other_bytes_is_replaced() {
    let bench = Bench::new();
    let files = [("a", "one")];
    let record = bench.commit(&bench.model("hf:org/repo", "abc", &files));
    let file = record.local_path.join("a");
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&file, "two").unwrap();
    let again = bench.commit(&bench.model("hf:org/repo", "abc", &files));
    assert_eq!(fs_err::read(again.local_path.join("a")).unwrap(), b"one");
}

#[test]
fn a_view_that_was_copied_is_read_and_stays() {
    let bench = Bench::new();
    let model = || bench.model("hf:org/repo", "abc", &[("a", "one")]);
    let first = bench.commit(&model());
    let (file, copy) = (first.local_path.join("a"), bench.dir.path().join("copy"));
    fs_err::copy(&file, &copy).unwrap();
    fs_err::rename(&copy, &file).unwrap();
    let again = bench.commit(&model());
    assert_eq!(again.files[0].stamp.inode, inode(&file));
    assert_ne!(again.files, first.files);
    assert!(!bench.store.quarantined().exists(), "nothing is wrong with it");
}

#[test]
fn a_blob_that_vanished_before_the_commit_is_told() {
    let bench = Bench::new();
    let blob = crate::blob::tests::insert(&bench.store, b"one");
    let model = bench.model("hf:org/repo", "abc", &[("a", "one")]);
    // As a bringing process finds it that has no need to fetch it.
    let staged = staged_at(&model, &blob.path);
    fs_err::remove_file(&blob.path).unwrap();
    assert!(
        matches!(bench.store.commit(&staged, Timestamp::UNIX_EPOCH), Err(Error::Vanished { path }) if path == blob.path)
    );
}

#[test]
fn a_view_whose_removal_was_begun_is_built_anew() {
    let bench = Bench::new();
    let record = bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]));
    let root = &record.local_path;
    fs_err::rename(root.join(SEAL), root.join(REMOVED)).unwrap();
    assert!(!bench.store.is_sealed(root));
    let again = bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]));
    assert!(bench.store.is_sealed(&again.local_path) && !root.join(REMOVED).exists());
    assert!(!bench.store.quarantined().exists(), "nothing was wrong with it");
    fs_err::rename(root.join(SEAL), root.join(REMOVED)).unwrap();
    bench.store.seal_again(&again).unwrap();
    assert!(bench.store.is_sealed(root) && !root.join(REMOVED).exists());
}

#[test]
fn names_that_are_one_to_the_file_system_are_never_mixed_up() {
    let bench = Bench::new();
    let (one, two) = (insert(&bench.store, b"one"), insert(&bench.store, b"two"));
    let folder = tempfile::tempdir_in(bench.dir.path()).unwrap();
    // As a file system sees `A.gguf` and `a.gguf` that does not tell letter case apart.
    let path = RelativePath::new("a.gguf").unwrap();
    let error = build(folder.path(), &[(&path, one.clone()), (&path, two)]).unwrap_err();
    assert!(error.code().as_str() == "storage-failed", "{error}");
    assert_eq!(fs_err::read(one.path).unwrap(), b"one", "the blob is whole");
}
