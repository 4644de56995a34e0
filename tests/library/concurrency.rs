//! Many callers of one process at once, and callers that drop their calls.

use std::{
    fs::File,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use testkit::{TINY_GGUF, gguf_of};

use futures_util::future::join_all;
use model_provisioner::{
    Basis, CatalogError, CatalogRecord, CatalogStore, Clock, DamagedRecord, Expectation, FsCatalog, Listing,
    ModelProvisioner, ModelRef, Precondition, ResolvedModel, StagedModel, Timestamp, Verdict, Verifier,
    Version, Versioned, blocking,
};
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, reference, sha256};

/// Longer than any of these calls takes: a call that waits for so long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(60);

/// A catalog that counts how many reads of it have ended.
#[derive(Clone, Debug)]
struct Counting {
    catalog: Arc<FsCatalog>,
    reads: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl CatalogStore for Counting {
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError> {
        let found = self.catalog.get(id).await;
        self.reads.fetch_add(1, Ordering::SeqCst);
        found
    }

    async fn put(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError> {
        self.catalog.put(record, expected).await
    }

    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError> {
        self.catalog.remove(id, expected).await
    }

    async fn list(&self) -> Result<Listing, CatalogError> {
        self.catalog.list().await
    }

    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<std::path::PathBuf, CatalogError> {
        self.catalog.set_aside(damaged).await
    }
}

/// A clock that stands still, for a catalog that asks it where to begin its versions.
#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A verifier that counts judgements, and holds each of them until it is told to let them go.
#[derive(Clone, Debug, Default)]
struct Holding(Arc<(Mutex<Held>, Condvar)>);

#[derive(Debug, Default)]
struct Held {
    judgements: usize,
    is_open: bool,
}

impl Holding {
    fn judgements(&self) -> usize {
        self.0.0.lock().unwrap().judgements
    }

    fn let_go(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }
}

impl Verifier for Holding {
    fn name(&self) -> &'static str {
        "holding"
    }

    fn verify(&self, _: &StagedModel, _: &Expectation) -> std::io::Result<Verdict> {
        let mut held = self.0.0.lock().unwrap();
        held.judgements += 1;
        let (held, wait) = self.0.1.wait_timeout_while(held, FOR_EVER, |held| !held.is_open).unwrap();
        drop(held);
        assert!(!wait.timed_out(), "the test never lets the judgement go");
        Ok(Verdict::Pass { basis: None, reason: String::new() })
    }
}

/// A model that no call finds present, for its time is to come, and a provisioner that judges it when it is told to.
struct Flight {
    _bench: Fixture,
    model: ModelRef,
    provisioner: ModelProvisioner,
    holding: Holding,
    reads: Arc<AtomicUsize>,
}

type Call = JoinHandle<model_provisioner::Result<ResolvedModel>>;

impl Flight {
    fn new() -> Self {
        let bench = Fixture::new();
        let path = bench.fresh_file("a.gguf", TINY_GGUF);
        let file = File::options().write(true).open(&path).unwrap();
        // A stamp of such a file never settles: nothing that one caller leaves behind spares another the work.
        file.set_modified(file.metadata().unwrap().modified().unwrap() + Duration::from_secs(3600)).unwrap();
        let catalog = FsCatalog::open(&bench.cache(), Arc::new(Standing), FOR_EVER).unwrap();
        let reads = Arc::<AtomicUsize>::default();
        let counting = Counting { catalog: Arc::new(catalog), reads: reads.clone() };
        let holding = Holding::default();
        let builder = ModelProvisioner::builder(bench.cache()).catalog(counting).verifier(holding.clone());
        let provisioner = builder.build().unwrap();
        Self { model: reference(&path), _bench: bench, provisioner, holding, reads }
    }

    fn board(&self) -> Call {
        let (provisioner, model) = (self.provisioner.clone(), self.model.clone());
        tokio::spawn(async move { provisioner.ensure_present(&model, Some(sha256(TINY_GGUF))).await })
    }

    /// Starts a call, and returns once it judges.
    async fn lead(&self) -> Call {
        let leader = self.board();
        until(|| self.holding.judgements() == 1).await;
        leader
    }

    /// Starts so many calls, and returns once each of them has found the model absent. On the one thread of these tests,
    /// none of them pauses between that and boarding the flight.
    async fn follow(&self, calls: usize) -> Vec<Call> {
        let before = self.reads.load(Ordering::SeqCst);
        let followers = (0..calls).map(|_| self.board()).collect();
        until(|| self.reads.load(Ordering::SeqCst) >= before + calls).await;
        followers
    }
}

/// Lets other tasks run until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FOR_EVER, wait).await.unwrap();
}

#[tokio::test]
async fn one_id_is_worked_on_once() {
    let flight = Flight::new();
    let leader = flight.lead().await;
    let followers = flight.follow(7).await;
    flight.holding.let_go();
    for done in join_all(followers.into_iter().chain([leader])).await {
        done.unwrap().unwrap();
    }
    assert_eq!(flight.holding.judgements(), 1);
    // One that comes later finds nothing present: what the eight shared was the work.
    flight.board().await.unwrap().unwrap();
    assert_eq!(flight.holding.judgements(), 2);
}

#[tokio::test]
async fn the_work_goes_on_when_its_leader_is_dropped() {
    let flight = Flight::new();
    let leader = flight.lead().await;
    let followers = flight.follow(2).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    // The judgement that the leader began goes on without it, and a follower begins another one.
    until(|| flight.holding.judgements() == 2).await;
    flight.holding.let_go();
    for done in join_all(followers).await {
        done.unwrap().unwrap();
    }
    assert_eq!(flight.holding.judgements(), 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_anywhere_leaves_nothing_half_made() {
    let bench = Fixture::new();
    let path = reference(&bench.fresh_file("a.gguf", &gguf_of(1 << 20, 7)));
    let provisioner = bench.provisioner();
    let digest = sha256(&gguf_of(1 << 20, 7));
    let mut dropped = 0;
    // Later each time, until one comes to its end.
    for micros in (0..).map(|step| step * 500) {
        let call = provisioner.ensure_present(&path, Some(digest.clone()));
        let done = tokio::time::timeout(Duration::from_micros(micros), call).await;
        assert!(provisioner.list().await.unwrap().damaged.is_empty());
        match done {
            Err(_) => dropped += 1,
            Ok(done) => {
                done.unwrap();
                break;
            }
        }
    }
    assert!(dropped > 4, "only {dropped} calls were dropped");
}

#[tokio::test]
async fn the_blocking_mirror_works_inside_a_runtime() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let provisioner = blocking::ModelProvisioner::from(bench.provisioner());
    provisioner.ensure_present(&path, None).unwrap();
    assert!(provisioner.exists(&path).unwrap());
    assert_eq!(provisioner.list().unwrap().models.len(), 1);
}

#[test]
fn several_provisioners_share_a_cache() {
    let bench = Fixture::new();
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

    fn verify(&self, _: &StagedModel, _: &Expectation) -> std::io::Result<Verdict> {
        if let Some(what) = self.0.lock().unwrap().take() {
            what();
        }
        Ok(Verdict::Pass { basis: None, reason: String::new() })
    }
}

#[tokio::test]
async fn a_pin_that_somebody_else_gave_meanwhile_is_not_lost() {
    for verify in [false, true] {
        let bench = Fixture::new();
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
    let bench = Fixture::new();
    bench.old_file("repo/a", b"one");
    let added = bench.path("repo/b");
    let add = Meanwhile::new(move || fs_err::write(added, "two").unwrap());
    let provisioner = ModelProvisioner::builder(bench.cache()).verifier(add).build().unwrap();
    let repo = reference(&bench.path("repo"));
    assert_eq!(crate::fixture::code(provisioner.ensure_present(&repo, None).await), "changed-while-read");
    assert!(provisioner.list().await.unwrap().models.is_empty());
}
