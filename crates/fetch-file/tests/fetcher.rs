//! The fetcher of local files, against its contract and against what lies on real disks.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{os::unix::fs::symlink, path::Path};

use fetch_file::FileFetcher;
use provisioner_core::{Entry, FetchError, FetchErrorKind, Manifest, ModelFetcher, ModelRef, ResolveRequest};
use testkit::{FakeModel, TINY_GGUF, conformance};

fn reference(path: &Path) -> ModelRef {
    ModelRef::parse(path.to_str().unwrap(), None).unwrap()
}

async fn resolve(path: &Path) -> Result<Manifest, FetchError> {
    FileFetcher.resolve(&ResolveRequest::new(reference(path))).await
}

fn paths(manifest: &Manifest) -> Vec<&str> {
    manifest.files().iter().map(|file| file.path.as_str()).collect()
}

async fn refused(path: &Path, kind: FetchErrorKind, names: &str) {
    let error = resolve(path).await.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.to_string().contains(names), "{error}");
}

#[tokio::test]
async fn keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let file = FakeModel::gguf().write_to(dir.path(), "one").unwrap().remove(0);
    let shards = FakeModel::gguf().shards(3).write_to(&dir.path().join("set"), "x").unwrap();
    let absent = reference(&dir.path().join("absent.gguf"));
    for present in [&file, &shards[0], &dir.path().join("set")] {
        conformance::fetcher(&FileFetcher, &reference(present), &absent).await;
    }
}

#[tokio::test]
async fn any_shard_is_the_whole_set() {
    let dir = tempfile::tempdir().unwrap();
    let shards = FakeModel::gguf().shards(3).write_to(dir.path(), "x").unwrap();
    let all = ["x-00001-of-00003.gguf", "x-00002-of-00003.gguf", "x-00003-of-00003.gguf"];
    for shard in &shards {
        let manifest = resolve(shard).await.unwrap();
        assert_eq!(paths(&manifest), all);
        assert_eq!(*manifest.entry(), Entry::File(all[0].parse().unwrap()));
    }
    fs_err::remove_file(&shards[1]).unwrap();
    refused(&shards[2], FetchErrorKind::MissingShard, "x-00002-of-00003.gguf").await;
}

#[tokio::test]
async fn a_folder_leaves_out_hidden_names() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b.json", "a/c.txt", ".git/config", ".cache/x", "a/.hidden", "mmproj-x.gguf"] {
        let path = dir.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, name).unwrap();
    }
    fs_err::write(dir.path().join("a/x-00001-of-00002.gguf"), "GGUF").unwrap();
    refused(dir.path(), FetchErrorKind::MissingShard, "a/x-00002-of-00002.gguf").await;
    fs_err::remove_file(dir.path().join("a/x-00001-of-00002.gguf")).unwrap();
    let manifest = resolve(dir.path()).await.unwrap();
    assert_eq!(paths(&manifest), ["a/c.txt", "b.json", "mmproj-x.gguf"]);
    assert_eq!(*manifest.entry(), Entry::Folder);
    assert_eq!(manifest.projector().map(ToString::to_string).as_deref(), Some("mmproj-x.gguf"));
}

#[tokio::test]
async fn symlinks_keep_their_names() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("blob"), "bytes").unwrap();
    let link = dir.path().join("model.gguf");
    symlink("blob", &link).unwrap();
    let manifest = resolve(&link).await.unwrap();
    assert_eq!((paths(&manifest), manifest.size_bytes()), (vec!["model.gguf"], 5));
}

#[tokio::test]
async fn what_is_no_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs_err::create_dir_all(path("empty/.cache")).unwrap();
    refused(&path("empty"), FetchErrorKind::Empty, "empty").await;
    refused(&path("absent.gguf"), FetchErrorKind::NotFound, "absent.gguf").await;
    refused(Path::new("/dev/null"), FetchErrorKind::NotAFile, "/dev/null").await;
    fs_err::create_dir(path("circle")).unwrap();
    symlink(".", path("circle/again")).unwrap();
    refused(&path("circle"), FetchErrorKind::NotAFile, "leads back").await;
    for level in 0..20 {
        fs_err::create_dir(path(&format!("level{level}"))).unwrap();
        symlink(path(&format!("level{}", level + 1)), path(&format!("level{level}/a"))).unwrap();
        symlink(path(&format!("level{}", level + 1)), path(&format!("level{level}/b"))).unwrap();
    }
    fs_err::create_dir(path("level20")).unwrap();
    refused(&path("level0"), FetchErrorKind::NotAFile, "more than 100000 names").await;
    fs_err::create_dir_all(path("deep").join("x/".repeat(70))).unwrap();
    refused(&path("deep"), FetchErrorKind::NotAFile, "folders deep").await;
    fs_err::create_dir(path("dangling")).unwrap();
    symlink("nowhere", path("dangling/x")).unwrap();
    refused(&path("dangling"), FetchErrorKind::NotFound, "dangling/x").await;
    fs_err::create_dir(path("latin")).unwrap();
    let latin = std::os::unix::ffi::OsStrExt::from_bytes(b"m\xf6del");
    fs_err::write(path("latin").join::<&std::ffi::OsStr>(latin), "x").unwrap();
    refused(&path("latin"), FetchErrorKind::NotUtf8, "latin").await;
    fs_err::create_dir(path("newline")).unwrap();
    fs_err::write(path("newline/a\nb"), "x").unwrap();
    refused(&path("newline"), FetchErrorKind::UnsafePath, "control character").await;
}

#[tokio::test]
async fn the_smallest_model_of_the_testkit_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.gguf");
    fs_err::write(&file, TINY_GGUF).unwrap();
    let absent = reference(&dir.path().join("absent.gguf"));
    conformance::fetcher(&FileFetcher, &reference(&file), &absent).await;
}
