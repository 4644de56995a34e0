//! Verdicts on fetched models: what is one, what is not, and what the store does with a model that failed.

use std::{
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use artifact_store::Store;
use model_provisioner::{
    EnsureEffect, Expectation, Hint, ModelProvisioner, ModelRef, Outcome, Rejection, StagedModel, Verdict,
    Verifier,
};

use crate::fixture::{Fixture, bytes, code, rewrite_in_place};

const ID: &str = "hf:org/repo?include=*";

fn reference() -> ModelRef {
    ID.parse().unwrap()
}

/// A verifier that refuses the model, or cannot read it for the operating system's reason of this number.
#[derive(Debug)]
struct Contrary(Option<i32>);

impl Verifier for Contrary {
    fn name(&self) -> &'static str {
        "contrary"
    }

    fn verify(&self, _: &StagedModel, _: &Expectation) -> io::Result<Verdict> {
        match self.0 {
            Some(number) => Err(io::Error::from_raw_os_error(number)),
            None => Ok(Verdict::Fail(Rejection::Unsound { verifier: "contrary", reason: "no".to_owned() })),
        }
    }
}

async fn bench() -> (Fixture, ModelProvisioner, PathBuf) {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(10_000, 1)).file("config.json", "{}").publish();
    let provisioner = bench.provisioner();
    let root = provisioner.ensure_present_str(ID, None).await.unwrap().local_path;
    bench.hub.reset_counts();
    (bench, provisioner, root)
}

fn inode(path: &Path) -> u64 {
    fs_err::metadata(path).unwrap().ino()
}

#[tokio::test]
async fn what_cannot_be_read_is_neither_condemned_nor_recorded() {
    let (bench, provisioner, root) = bench().await;
    let record = provisioner.show(&reference()).await.unwrap().record;
    let before = (inode(&root), inode(&root.join("a.gguf")));
    for (number, expected) in [(5, "storage-failed"), (13, "permission-denied"), (24, "too-many-files")] {
        let blind = bench.builder().verifier(Contrary(Some(number))).build().unwrap();
        assert_eq!(code(blind.verify(&reference()).await), expected);
        fs_err::set_permissions(root.join("a.gguf"), PermissionsExt::from_mode(0o600)).unwrap();
        let pinned = Some(record.files[0].sha256.clone().unwrap());
        assert_eq!(code(blind.ensure_present_str("hf:org/repo/a.gguf", pinned).await), expected);
    }
    assert_eq!(provisioner.show(&reference()).await.unwrap().record, record);
    assert_eq!(before, (inode(&root), inode(&root.join("a.gguf"))));
    assert!(!bench.cache().join("store-v1/quarantine").exists());
    let lines = bench.provenance();
    assert!(lines.iter().all(|line| line["outcome"] != "fail"), "{lines:?}");
}

#[tokio::test]
async fn a_condemned_view_whose_blobs_are_right_comes_back_without_its_source() {
    for by_doctor in [false, true] {
        let (bench, provisioner, root) = bench().await;
        let contrary = bench.builder().verifier(Contrary(None)).build().unwrap();
        assert_eq!(contrary.verify(&reference()).await.unwrap().outcome, Outcome::Fail);
        assert!(!root.exists() && provisioner.locate(&reference()).await.unwrap().is_none());
        if by_doctor {
            let mended = provisioner.doctor(true).await.unwrap();
            assert!(mended.iter().all(|finding| finding.mended.is_some()), "{mended:?}");
        } else {
            provisioner.ensure_present_str(ID, None).await.unwrap();
        }
        assert_eq!(provisioner.locate(&reference()).await.unwrap().unwrap().local_path, root);
        assert_eq!(provisioner.verify(&reference()).await.unwrap().outcome, Outcome::Pass);
        assert_eq!(bench.hub.requests().len(), 0, "by doctor: {by_doctor}");
    }
}

#[tokio::test]
async fn what_is_condemned_and_leased_stays_where_it_is() {
    let (bench, provisioner, root) = bench().await;
    let lease = Store::new(bench.cache().join("store-v1")).lease(&root, ID, Duration::ZERO).unwrap();
    let (file, before) = (root.join("a.gguf"), inode(&root));
    let mut wrong = bytes(10_000, 1);
    wrong[9_999] ^= 1;
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    rewrite_in_place(&file, &wrong);
    let report = provisioner.verify(&reference()).await.unwrap();
    let puts_right = Hint::Ensure { id: ID.to_owned(), effect: EnsureEffect::PutsRight };
    assert!(report.outcome == Outcome::Fail && report.hint == Some(puts_right));
    assert_eq!((inode(&root), fs_err::read(&file).unwrap()), (before, wrong));
    assert!(provisioner.locate(&reference()).await.unwrap().is_none(), "no caller gets it any more");
    // `ensure` repairs the model file by file, under the processes that use it.
    let config = inode(&root.join("config.json"));
    provisioner.ensure_present_str(ID, None).await.unwrap();
    assert_eq!((inode(&root), inode(&root.join("config.json"))), (before, config));
    assert_eq!(fs_err::read(&file).unwrap(), bytes(10_000, 1));
    drop(lease);
}

#[tokio::test]
async fn what_is_condemned_and_gone_has_a_hint_that_helps_and_leaves_nothing_to_wonder_at() {
    let (_bench, provisioner, root) = bench().await;
    rewrite_in_place(&root.join("a.gguf"), &bytes(10_000, 2));
    assert_eq!(provisioner.verify(&reference()).await.unwrap().outcome, Outcome::Fail);
    let error = provisioner.verify(&reference()).await.unwrap_err();
    let brings_back = Hint::Ensure { id: ID.to_owned(), effect: EnsureEffect::BringsBack };
    assert_eq!(error.hint(), Some(brings_back));
    let found = provisioner.doctor(false).await.unwrap();
    assert!(found.iter().all(|finding| !finding.problem.contains(".stamp")), "{found:?}");
}
