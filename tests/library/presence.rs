//! The library reads a file again only where its stamp or the expectation demands it.

use std::time::Duration;
use testkit::{TINY_GGUF, gguf};

use crate::fixture::{Fixture, code, reference, rewrite_in_place, set_age, sha256};

#[tokio::test]
async fn an_unchanged_verified_model_is_not_read_again() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let digest = Some(sha256(TINY_GGUF));
    bench.provisioner().ensure_present(&path, digest.clone()).await.unwrap();
    assert_eq!(bench.hashing.take(), 24);
    for expected in [None, digest] {
        assert!(bench.provisioner().ensure_present(&path, expected).await.unwrap().cached);
    }
    assert_eq!(bench.hashing.take(), 0);
}

#[tokio::test]
async fn a_rewrite_in_place_is_noticed() {
    let bench = Fixture::new();
    let (good, wrong) = (gguf("one"), gguf("onE"));
    let file = bench.old_file("a.gguf", &good);
    let folder = bench.path("repo");
    let inner = bench.old_file("repo/weights", &good);
    bench.old_file("repo/config.json", b"{}");
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&reference(&file), Some(sha256(&good))).await.unwrap();
    provisioner.ensure_present(&reference(&folder), None).await.unwrap();
    provisioner.verify(&reference(&folder)).await.unwrap();
    for path in [&file, &inner] {
        rewrite_in_place(path, &wrong);
    }
    assert!(!provisioner.exists(&reference(&file)).await.unwrap());
    assert_eq!(code(provisioner.ensure_present(&reference(&file), None).await), "digest-mismatch");
    assert_eq!(
        code(provisioner.ensure_present(&reference(&file), Some(sha256(&good))).await),
        "digest-mismatch"
    );
    assert_eq!(code(provisioner.ensure_present(&reference(&folder), None).await), "digest-mismatch");
    provisioner.ensure_present(&reference(&file), Some(sha256(&wrong))).await.unwrap();
}

#[tokio::test]
async fn a_folder_is_held_to_its_names() {
    let bench = Fixture::new();
    bench.old_file("repo/a", b"one");
    let repo = reference(&bench.path("repo"));
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&repo, None).await.unwrap();
    provisioner.verify(&repo).await.unwrap();
    let added = bench.old_file("repo/b", b"two");
    assert!(!provisioner.exists(&repo).await.unwrap());
    assert_eq!(code(provisioner.ensure_present(&repo, None).await), "digest-mismatch");
    fs_err::remove_file(added).unwrap();
    bench.hashing.take();
    assert!(provisioner.ensure_present(&repo, None).await.is_ok());
    fs_err::remove_file(bench.path("repo/a")).unwrap();
    assert_eq!(code(provisioner.ensure_present(&repo, None).await), "empty-folder");
    assert_eq!(bench.hashing.take(), 0);
}

#[tokio::test]
async fn of_a_changed_set_only_what_changed_is_read() {
    let bench = Fixture::new();
    let changed = bench.old_file("repo/a", b"one");
    bench.old_file("repo/large", &vec![0; 100_000]);
    let repo = reference(&bench.path("repo"));
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&repo, None).await.unwrap();
    provisioner.verify(&repo).await.unwrap();
    assert_eq!(bench.hashing.take(), 100_003);
    set_age(&changed, Duration::from_secs(60));
    provisioner.ensure_present(&repo, None).await.unwrap();
    assert_eq!(bench.hashing.take(), 3);
}

#[tokio::test]
async fn a_file_that_was_just_written_is_not_trusted_by_its_times() {
    let bench = Fixture::new();
    let path = bench.fresh_file("a.gguf", TINY_GGUF);
    let digest = Some(sha256(TINY_GGUF));
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&reference(&path), digest.clone()).await.unwrap();
    assert!(provisioner.exists(&reference(&path)).await.unwrap(), "it is present all the same");
    provisioner.ensure_present(&reference(&path), digest.clone()).await.unwrap();
    assert_eq!(bench.hashing.take(), 48, "it is read again");
    set_age(&path, Duration::from_secs(60));
    for _ in 0..2 {
        provisioner.ensure_present(&reference(&path), digest.clone()).await.unwrap();
    }
    assert_eq!(bench.hashing.take(), 24, "once it has settled, no more");
}

#[tokio::test]
async fn exists_and_locate_write_nothing() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let provisioner = bench.provisioner();
    assert!(!provisioner.exists(&path).await.unwrap());
    assert!(!bench.cache().exists());
    provisioner.ensure_present(&path, None).await.unwrap();
    let lines = bench.provenance().len();
    let located = provisioner.locate(&path).await.unwrap().unwrap();
    assert_eq!(located.id, path.id());
    assert_eq!(bench.provenance().len(), lines);
}

#[tokio::test]
async fn an_imported_digest_is_checked_before_it_counts() {
    let bench = Fixture::new();
    let path = bench.old_file("a.gguf", TINY_GGUF);
    let id = format!("file:{}", path.display());
    let index = |bytes: &[u8]| {
        let digest = sha256(bytes);
        let entry = serde_json::json!({ "id": id, "local_path": path, "lifecycle": "Active", "digest": digest, "last_verified_ms": null });
        fs_err::create_dir_all(bench.cache()).unwrap();
        fs_err::write(bench.cache().join("index.json"), serde_json::json!({ &id: entry }).to_string())
            .unwrap();
    };
    index(b"other");
    let provisioner = bench.provisioner();
    assert!(!provisioner.exists(&reference(&path)).await.unwrap());
    assert_eq!(code(provisioner.ensure_present(&reference(&path), None).await), "digest-mismatch");
    provisioner.remove(&reference(&path)).await.unwrap();
    index(TINY_GGUF);
    let provisioner = bench.provisioner();
    assert!(provisioner.ensure_present(&reference(&path), None).await.unwrap().verification.is_strict_pass());
}
