//! Many callers at once in one process, and callers that go away.

use std::{sync::Mutex, time::Duration};
use testkit::{TINY_GGUF, gguf_of};

use futures_util::future::join_all;
use model_provisioner::{
    Basis, Expectation, ModelProvisioner, ProgressEvent, StagedModel, Verdict, Verifier, blocking,
};

use crate::workbench::{Workbench, reference, sha256};

/// Large enough that hashing takes a while.
const LARGE: usize = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_is_worked_on_once() {
    let bench = Workbench::new();
    let bytes = gguf_of(LARGE, 7);
    // Just written: nothing that one caller leaves behind spares another the work.
    let path = reference(&bench.fresh_file("a.gguf", &bytes));
    let provisioner = bench.provisioner();
    let digest = sha256(&bytes);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (provisioner, path, digest) = (provisioner.clone(), path.clone(), digest.clone());
            tokio::spawn(async move { provisioner.ensure_present(&path, Some(digest)).await })
        })
        .collect();
    for done in join_all(tasks).await {
        done.unwrap().unwrap();
    }
    assert_eq!(bench.hashing.take(), LARGE as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_goes_on_when_its_leader_is_dropped() {
    let bench = Workbench::new();
    let bytes = gguf_of(LARGE, 7);
    let path = reference(&bench.fresh_file("a.gguf", &bytes));
    let provisioner = bench.provisioner();
    let ensure = || {
        let (provisioner, path, digest) = (provisioner.clone(), path.clone(), sha256(&bytes));
        tokio::spawn(async move { provisioner.ensure_present(&path, Some(digest)).await })
    };
    let leader = ensure();
    while !bench.hashing.events().iter().any(|event| matches!(event, ProgressEvent::HashStarted { .. })) {
        tokio::task::yield_now().await;
    }
    let follower = ensure();
    tokio::time::sleep(Duration::from_millis(5)).await;
    leader.abort();
    follower.await.unwrap().unwrap();
    let _ = leader.await;
}

#[tokio::test]
async fn a_call_that_is_dropped_anywhere_leaves_nothing_half_made() {
    let bench = Workbench::new();
    let path = reference(&bench.fresh_file("a.gguf", &gguf_of(1 << 20, 7)));
    let provisioner = bench.provisioner();
    for micros in (0..40).map(|step| step * 250) {
        let call = provisioner.ensure_present(&path, Some(sha256(&gguf_of(1 << 20, 7))));
        let _ = tokio::time::timeout(Duration::from_micros(micros), call).await;
        let inventory = provisioner.list().await.unwrap();
        assert!(inventory.damaged.is_empty());
    }
    provisioner.ensure_present(&path, Some(sha256(&gguf_of(1 << 20, 7)))).await.unwrap();
}

#[tokio::test]
async fn the_blocking_mirror_works_inside_a_runtime() {
    let bench = Workbench::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let provisioner = blocking::ModelProvisioner::from(bench.provisioner());
    provisioner.ensure_present(&path, None).unwrap();
    assert!(provisioner.exists(&path).unwrap());
    assert_eq!(provisioner.list().unwrap().models.len(), 1);
}

#[test]
fn several_provisioners_share_a_cache() {
    let bench = Workbench::new();
    let paths: Vec<_> = (0..16).map(|n| bench.old_file(&format!("{n}.gguf"), TINY_GGUF)).collect();
    std::thread::scope(|scope| {
        for path in &paths {
            let cache = bench.cache();
            scope.spawn(move || {
                let provisioner = blocking::ModelProvisioner::file_only(cache).unwrap();
                provisioner.ensure_present(&reference(path), Some(sha256(TINY_GGUF))).unwrap();
            });
        }
    });
    let all = ModelProvisioner::file_only(bench.cache()).unwrap();
    assert_eq!(blocking::ModelProvisioner::from(all).list().unwrap().models.len(), 16);
}

/// Does something in the middle of a judgement, once.
struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Meanwhile {
    fn new(what: impl FnOnce() + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(what))))
    }
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Verifier for Meanwhile {
    fn name(&self) -> &'static str {
        "meanwhile"
    }

    fn verify(&self, _: &StagedModel, _: &Expectation) -> Verdict {
        if let Some(what) = self.0.lock().unwrap().take() {
            what();
        }
        Verdict::Pass { basis: None, reason: String::new() }
    }
}

#[tokio::test]
async fn a_pin_that_somebody_else_gave_meanwhile_is_not_lost() {
    for verify in [false, true] {
        let bench = Workbench::new();
        let file = bench.old_file("a.gguf", TINY_GGUF);
        let path = reference(&file);
        if verify {
            bench.provisioner().ensure_present(&path, None).await.unwrap();
        }
        let (cache, other) = (bench.cache(), path.clone());
        let pin = Meanwhile::new(move || {
            let other_process = blocking::ModelProvisioner::file_only(cache).unwrap();
            other_process.ensure_present(&other, Some(sha256(TINY_GGUF))).unwrap();
        });
        let slow = ModelProvisioner::builder(bench.cache()).verifier(pin).build().unwrap();
        if verify {
            slow.verify(&path).await.unwrap();
        } else {
            slow.ensure_present(&path, None).await.unwrap();
        }
        let record = slow.show(&path).await.unwrap().record;
        assert_eq!(record.verification.basis, Some(Basis::Pinned), "verify: {verify}");
    }
}

#[tokio::test]
async fn a_folder_that_changes_while_it_is_judged_is_not_recorded() {
    let bench = Workbench::new();
    bench.old_file("repo/a", b"one");
    let added = bench.path("repo/b");
    let add = Meanwhile::new(move || fs_err::write(added, "two").unwrap());
    let provisioner = ModelProvisioner::builder(bench.cache()).verifier(add).build().unwrap();
    let repo = reference(&bench.path("repo"));
    assert_eq!(crate::workbench::code(provisioner.ensure_present(&repo, None).await), "changed-while-read");
    assert!(provisioner.list().await.unwrap().models.is_empty());
}
