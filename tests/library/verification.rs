//! Digests, strictness, and what a record says of them.

use model_provisioner::{Basis, Digest, DigestAlgorithm, Expectation, Outcome, sha256_tree};
use sha1::Digest as _;
use testkit::{TINY_GGUF, gguf};

use crate::fixture::{Fixture, code, reference, sha256};

#[tokio::test]
async fn a_given_digest_is_always_checked() {
    let bench = Fixture::new();
    let path = bench.old_file("a.gguf", TINY_GGUF);
    let provisioner = bench.provisioner();
    let good = sha256(TINY_GGUF);
    let wrong = sha256(b"other");
    assert_eq!(
        code(provisioner.ensure_present(&reference(&path), Some(wrong.clone())).await),
        "digest-mismatch"
    );
    assert!(provisioner.list().await.unwrap().models.is_empty(), "nothing is recorded");
    let model = provisioner.ensure_present(&reference(&path), Some(good.clone())).await.unwrap();
    assert_eq!(model.digest, Some(good.clone()));
    assert_eq!(model.verification.basis, Some(Basis::Pinned));
    let error = provisioner.ensure_present(&reference(&path), Some(wrong.clone())).await.unwrap_err();
    assert!(error.to_string().contains(&wrong.hex()) && error.to_string().contains(&good.hex()), "{error}");
    let kept = provisioner.show(&reference(&path)).await.unwrap().record;
    assert_eq!(kept.verification.outcome, Outcome::Pass, "a failed expectation leaves the record as it was");
    let outcomes: Vec<_> =
        bench.provenance().iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["fail", "pass", "fail"]);
}

#[tokio::test]
async fn git_ids_are_understood() {
    let bench = Fixture::new();
    let path = bench.old_file("config.json", b"{}");
    let id = Digest::git_sha1(sha1::Sha1::digest(b"blob 2\0{}").into());
    let model = bench.provisioner().ensure_present(&reference(&path), Some(id)).await.unwrap();
    assert_eq!(model.digest, Some(sha256(b"{}")), "the SHA-256 is recorded too");
    let wrong = Digest::new(DigestAlgorithm::GitSha1, &"0".repeat(40)).unwrap();
    assert_eq!(
        code(bench.provisioner().ensure_present(&reference(&path), Some(wrong)).await),
        "digest-mismatch"
    );
}

#[tokio::test]
async fn a_set_has_a_tree_digest() {
    let bench = Fixture::new();
    let (a, b) = (sha256(b"one"), sha256(b"two"));
    bench.old_file("repo/a", b"one");
    bench.old_file("repo/sub/b", b"two");
    let tree = sha256_tree([(&"sub/b".parse().unwrap(), &b), (&"a".parse().unwrap(), &a)]);
    let repo = reference(&bench.path("repo"));
    let provisioner = bench.provisioner();
    let error = provisioner.ensure_present(&repo, Some(a.clone())).await.unwrap_err();
    assert_eq!(error.code().as_str(), "digest-needs-one-file");
    let table = format!("{}  a\n  {}  sub/b", a.hex(), b.hex());
    assert!(error.to_string().contains(&tree.to_string()) && error.to_string().contains(&table), "{error}");
    let model = provisioner.ensure_present(&repo, Some(tree.clone())).await.unwrap();
    assert_eq!(model.digest, Some(tree));
}

#[tokio::test]
async fn unverified_stays_unverified_without_being_read() {
    let bench = Fixture::new();
    let path = bench.old_file("a.gguf", TINY_GGUF);
    for _ in 0..2 {
        let model = bench.provisioner().ensure_present(&reference(&path), None).await.unwrap();
        assert_eq!((model.verification.outcome, model.verification.basis), (Outcome::Warn, None));
        assert_eq!(model.digest, None);
    }
    fs_err::write(&path, gguf("and more")).unwrap();
    let model = bench.provisioner().ensure_present(&reference(&path), None).await.unwrap();
    assert_eq!((model.verification.outcome, model.size_bytes), (Outcome::Warn, 72));
    assert_eq!(bench.hashing.take(), 0);
}

#[tokio::test]
async fn strict_wants_more_than_first_use() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let provisioner = bench.provisioner();
    let strict = Expectation::none().strict(true);
    let error = provisioner.ensure(&path, &strict).await.unwrap_err();
    assert_eq!(error.code().as_str(), "unproven");
    assert!(
        error.hint().unwrap().to_string().contains(&sha256(TINY_GGUF).hex()),
        "the digest is ready to be pinned"
    );
    provisioner.ensure_present(&path, None).await.unwrap();
    let report = provisioner.verify(&path).await.unwrap();
    assert_eq!(report.outcome, Outcome::Pass);
    let record = provisioner.show(&path).await.unwrap().record;
    assert_eq!(record.evidence(), Some((sha256(TINY_GGUF), Basis::FirstUse)));
    assert_eq!(code(provisioner.ensure(&path, &strict).await), "unproven");
    provisioner.ensure_present(&path, Some(sha256(TINY_GGUF))).await.unwrap();
    provisioner.ensure(&path, &strict).await.unwrap();
}

#[tokio::test]
async fn verify_finds_what_no_stamp_tells() {
    let bench = Fixture::new();
    let path = bench.old_file("a.gguf", TINY_GGUF);
    let model = reference(&path);
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&model, Some(sha256(TINY_GGUF))).await.unwrap();
    // The disk lies: the test writes into the record that these other bytes have just this stamp.
    crate::fixture::rewrite_in_place(&path, b"GGUX");
    restamp(&bench, &path);
    assert!(provisioner.ensure_present(&model, None).await.is_ok(), "a stamp cannot tell");
    let report = provisioner.verify(&model).await.unwrap();
    assert_eq!(
        (report.outcome, report.code.map(model_provisioner::ErrorCode::as_str)),
        (Outcome::Fail, Some("digest-mismatch"))
    );
    assert!(!provisioner.exists(&model).await.unwrap());
    assert_eq!(code(provisioner.ensure_present(&model, None).await), "digest-mismatch");
    fs_err::write(&path, TINY_GGUF).unwrap();
    let mended = provisioner.ensure_present(&model, None).await.unwrap();
    assert_eq!(mended.verification.basis, Some(Basis::Pinned));
}

/// Writes a file's present times into its record.
fn restamp(bench: &Fixture, path: &std::path::Path) {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs_err::metadata(path).unwrap();
    let ctime = metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec();
    for folder in fs_err::read_dir(bench.cache().join("catalog-v1")).unwrap() {
        for file in fs_err::read_dir(folder.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|ending| ending == "json") {
                let mut json: serde_json::Value =
                    serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap();
                json["files"][0]["stamp"]["ctime_ns"] = ctime.into();
                fs_err::write(&file, json.to_string()).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn first_use_is_held_to() {
    let bench = Fixture::new();
    let path = bench.old_file("a.gguf", TINY_GGUF);
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&reference(&path), None).await.unwrap();
    provisioner.verify(&reference(&path)).await.unwrap();
    fs_err::write(&path, b"GGUX").unwrap();
    assert_eq!(code(provisioner.ensure_present(&reference(&path), None).await), "digest-mismatch");
}
