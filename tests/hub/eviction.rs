//! Eviction makes room, and leaves alone what a process uses.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use artifact_store::Store;
use model_provisioner::{Clock, EvictionLimits, EvictionPlan, ModelProvisioner, ModelRef, Timestamp, key_of};
use sha2::{Digest as _, Sha256};
use testkit::tier;

use crate::fixture::{Fixture, bytes, code};

fn reference(id: &str) -> ModelRef {
    id.parse().unwrap()
}

/// Returns limits without a grace time, and with this size.
fn to(max_size_bytes: u64) -> EvictionLimits {
    EvictionLimits { max_size_bytes: Some(max_size_bytes), grace: Duration::ZERO }
}

async fn evict(provisioner: &ModelProvisioner, limits: EvictionLimits) -> EvictionPlan {
    let plan = provisioner.plan_eviction(&limits).await.unwrap();
    provisioner.evict(&plan).await.unwrap()
}

fn ids(plan: &EvictionPlan) -> Vec<&str> {
    plan.evicted.iter().map(|gone| &*gone.ids[0]).collect()
}

/// Returns how many bytes `du` counts.
fn du(bench: &Fixture) -> u64 {
    let store = bench.cache().join("store-v1");
    let done = Command::new("du")
        .args(["-s", "-c", "-B1"])
        .args([store.join("blobs"), store.join("models")])
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().last().unwrap().split('\t').next().unwrap().parse().unwrap()
}

/// Says that a model was last used so many hours ago.
#[expect(clippy::disallowed_methods, reason = "the age is of now")]
fn age(bench: &Fixture, id: &str, hours: u64) {
    let used = bench.cache().join("store-v1/used").join(key_of(id));
    let file = std::fs::File::options().write(true).open(used).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600 * hours)).unwrap();
}

/// Ensures three models of two files each, of which they have one in common.
async fn three(bench: &Fixture) -> ModelProvisioner {
    several(bench, &["a", "b", "c"]).await
}

async fn several(bench: &Fixture, names: &[impl AsRef<str>]) -> ModelProvisioner {
    let provisioner = bench.provisioner();
    for (n, name) in names.iter().map(AsRef::as_ref).enumerate() {
        let repo = bench.hub.repo(&format!("org/{name}")).lfs("same.gguf", bytes(300_000, 99));
        repo.lfs("own.gguf", bytes(100_000, n)).publish();
        provisioner.ensure_present_str(&id(name), None).await.unwrap();
    }
    let store = Store::new(bench.cache().join("store-v1"));
    wait_until(|| names.iter().all(|name| store.check_idle(&id(name.as_ref())).is_ok())).await;
    provisioner
}

/// Waits for a lock to come free: another test that is starting a program just now has a copy of every descriptor for a moment.
async fn wait_until(is_free: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_free() {
        assert!(began.elapsed() < Duration::from_secs(20), "a lock stays taken");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn id(name: &str) -> String {
    format!("hf:org/{name}?include=*")
}

/// A clock that is ahead, so that a record of just now is old.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    #[expect(clippy::disallowed_methods, reason = "it is ahead of the system's")]
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.0
    }
}

#[tokio::test]
async fn it_frees_what_it_said_and_the_least_recently_used_first() {
    let bench = Fixture::new();
    let provisioner = three(&bench).await;
    for (name, hours) in [("a", 2), ("b", 3), ("c", 1)] {
        age(&bench, &id(name), hours);
    }
    // The models were recorded just now, so `evict` may remove them only without a grace time.
    let careful = EvictionLimits { grace: Duration::from_secs(60), ..to(0) };
    let plan = provisioner.plan_eviction(&careful).await.unwrap();
    assert!(plan.evicted.is_empty() && plan.kept[0].reason.starts_with("recorded "), "{plan:?}");
    let ahead = bench.builder().clock(Ahead(Duration::from_secs(7200))).build().unwrap();
    provisioner.retire(&reference(&id("c"))).await.unwrap();
    let size = plan.size_bytes;
    let before = du(&bench);
    let limit = EvictionLimits { max_size_bytes: Some(size - 1), ..EvictionLimits::default() };
    let done = evict(&ahead, limit).await;
    assert_eq!(ids(&done), [id("c")], "the retired one first: {done:?}");
    assert_eq!(before - du(&bench), done.freed_bytes, "it freed what it said");
    assert!(done.freed_bytes < 300_000, "the bytes that others have stay");
    let before = du(&bench);
    let plan = provisioner.plan_eviction(&to(0)).await.unwrap();
    assert_eq!(ids(&plan), [id("a"), id("b")], "those who were recorded first");
    let done = provisioner.evict(&plan).await.unwrap();
    assert_eq!(
        (&done.evicted, done.freed_bytes),
        (&plan.evicted, plan.freed_bytes),
        "what was planned was done"
    );
    assert_eq!((before - du(&bench), done.over_bytes), (done.freed_bytes, 0));
    assert!(
        done.evicted[0].bytes < 300_000 && done.evicted[1].bytes > 300_000,
        "freed with the last that has it"
    );
    assert!(provisioner.list().await.unwrap().models.is_empty());
    let log = fs_err::read_to_string(bench.cache().join("provenance.jsonl")).unwrap();
    assert_eq!(log.matches("\"action\":\"evict\"").count(), 3, "{log}");
    assert!(!provisioner.ensure_present_str(&id("a"), None).await.unwrap().cached);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_its_own_model_alone() {
    for damage in ["{", r#"{"schema_version": 999}"#] {
        let bench = Fixture::new();
        let provisioner = three(&bench).await;
        let model = provisioner.locate(&reference(&id("a"))).await.unwrap().unwrap();
        let key = hex::encode(Sha256::digest(id("a")));
        let record = bench.cache().join("catalog-v1").join(&key[..2]).join(format!("{}.json", &key[2..]));
        fs_err::write(record, damage).unwrap();
        let done = evict(&provisioner, to(0)).await;
        assert_eq!(ids(&done), [id("b"), id("c")], "{damage}");
        assert!(
            model.local_path.join("own.gguf").exists() && model.local_path.join(".model.json").exists(),
            "{damage}"
        );
    }
}

#[tokio::test]
async fn what_was_used_since_the_plan_stays() {
    let bench = Fixture::new();
    let provisioner = three(&bench).await;
    for name in ["a", "b", "c"] {
        age(&bench, &id(name), 24);
    }
    let ahead = bench.builder().clock(Ahead(Duration::from_secs(7200))).build().unwrap();
    let limits = EvictionLimits { grace: Duration::from_secs(7500), ..to(0) };
    let patient = EvictionLimits { grace: Duration::from_secs(3600), ..to(0) };
    let store = Store::new(bench.cache().join("store-v1"));
    assert!(ahead.plan_eviction(&limits).await.unwrap().evicted.is_empty(), "recorded too lately");
    // The first plan tried the locks.
    wait_until(|| ["a", "b", "c"].iter().all(|name| store.check_idle(&id(name)).is_ok())).await;
    let plan = ahead.plan_eviction(&patient).await.unwrap();
    assert_eq!(plan.evicted.len(), 3, "{:?}", plan.kept);
    // One process takes a lease on the one model, and the other model gets a second id.
    let leased = plan.evicted[0].clone();
    let lease = store.lease(&leased.root, &leased.ids[0], Duration::ZERO).unwrap();
    let other = plan.evicted[1].ids[0].replace('?', "@main?");
    provisioner.ensure_present_str(&other, None).await.unwrap();
    let done = ahead.evict(&plan).await.unwrap();
    assert_eq!(ids(&done), [&*plan.evicted[2].ids[0]], "{done:?}");
    assert!(leased.root.exists() && plan.evicted[1].root.exists());
    assert!(done.kept.iter().any(|kept| kept.reason.starts_with("in use by process ")), "{done:?}");
    assert_eq!(code(provisioner.remove(&reference(&leased.ids[0])).await), "in-use");
    assert!(provisioner.locate(&reference(&leased.ids[0])).await.unwrap().is_some(), "nothing was begun");
    drop(lease);
    provisioner.remove(&reference(&leased.ids[0])).await.unwrap();
    assert!(!leased.root.exists());
}

#[tokio::test]
async fn what_is_asked_for_again_stays_without_a_grace_time_too() {
    let bench = Fixture::new();
    let provisioner = three(&bench).await;
    for name in ["a", "b", "c"] {
        age(&bench, &id(name), 24);
    }
    let plan = provisioner.plan_eviction(&to(0)).await.unwrap();
    assert!(provisioner.ensure_present_str(&id("b"), None).await.unwrap().cached);
    let done = provisioner.evict(&plan).await.unwrap();
    assert_eq!(ids(&done), [id("a"), id("c")]);
    assert!(provisioner.exists(&reference(&id("b"))).await.unwrap() && done.over_bytes > 300_000);
    assert_eq!(done.kept[0].reason, "it was used after it was looked at");
}

#[tokio::test]
async fn room_is_made_before_a_download_and_never_in_vain() {
    let bench = Fixture::new();
    three(&bench).await;
    let size = bench.provisioner().plan_eviction(&to(0)).await.unwrap().size_bytes;
    let within = |limit| bench.builder().max_size(limit).grace(Duration::ZERO).build().unwrap();
    bench.hub.repo("org/large").lfs("large.gguf", bytes(700_000, 50)).publish();
    bench.hub.reset_counts();
    let error = within(699_999).ensure_present_str("hf:org/large/large.gguf", None).await.unwrap_err();
    assert_eq!(error.code().as_str(), "no-space");
    assert!(error.to_string().contains("may take 699999 bytes"), "{error}");
    assert_eq!(bench.hub.count(|seen| seen.file.is_some()), 0, "not a byte was fetched");
    assert_eq!(bench.provisioner().list().await.unwrap().models.len(), 3, "and no model went");
    let before = du(&bench);
    // A model that shares bytes with the others: those bytes stay, whichever model goes.
    bench.hub.repo("org/d").lfs("same.gguf", bytes(300_000, 99)).lfs("d.gguf", bytes(200_000, 51)).publish();
    bench.hub.reset_counts();
    within(size).ensure_present_str(&id("d"), None).await.unwrap();
    assert_eq!(bench.hub.bytes_sent("same.gguf"), 0);
    assert!(du(&bench) <= before + 20_000, "{} after {before}", du(&bench));
    let left = bench.provisioner().list().await.unwrap().models;
    let left: Vec<_> = left.iter().map(|model| model.record.id.as_str()).collect();
    assert_eq!(left, [id("c"), id("d")], "the two of the longest ago made room");
    // All models that have those bytes go, and the bytes stay for the model that this call stages.
    bench.hub.repo("org/e").lfs("same.gguf", bytes(300_000, 99)).lfs("e.gguf", bytes(250_000, 52)).publish();
    within(620_000).ensure_present_str(&id("e"), None).await.unwrap();
    assert_eq!(bench.provisioner().list().await.unwrap().models.len(), 1);
    assert_eq!(bench.hub.bytes_sent("same.gguf"), 0);
    let grown = bench.builder().max_size(900_000).build().unwrap();
    assert_eq!(code(grown.ensure_present_str("hf:org/large/large.gguf", None).await), "no-space");
    within(900_000).ensure_present_str("hf:org/large/large.gguf", None).await.unwrap();
}

#[tokio::test]
async fn a_removal_that_was_begun_does_not_come_back() {
    let bench = Fixture::new();
    let provisioner = three(&bench).await;
    let root = provisioner.show(&reference(&id("a"))).await.unwrap().record.root().to_owned();
    let begin = || fs_err::rename(root.join(".model.json"), root.join(".removed.json")).unwrap();
    begin();
    assert!(!provisioner.exists(&reference(&id("a"))).await.unwrap());
    bench.hub.reset_counts();
    // A caller wants the model after all: it is whole, and the call seals it again.
    let again = provisioner.ensure_present_str(&id("a"), None).await.unwrap();
    assert_eq!((again.local_path.as_path(), bench.hub.bytes_sent("*")), (root.as_path(), 0));
    assert!(root.join(".model.json").exists() && !root.join(".removed.json").exists());
    begin();
    fs_err::remove_dir_all(bench.cache().join("catalog-v1")).unwrap();
    let provisioner = bench.provisioner();
    assert_eq!(provisioner.list().await.unwrap().models.len(), 2, "the others come back");
    let before = du(&bench);
    let done = evict(&provisioner, EvictionLimits::default()).await;
    assert_eq!((ids(&done), before - du(&bench)), (vec![id("a").as_str()], done.freed_bytes));
    assert!(!root.exists());
}

#[tokio::test]
async fn a_commit_whose_blob_was_taken_away_begins_anew() {
    let bench = Fixture::new();
    let provisioner = three(&bench).await;
    // The one file is slow; the other one is in the store, until another process evicts it.
    bench.hub.repo("org/d").lfs("same.gguf", bytes(300_000, 99)).lfs("d.gguf", bytes(900_000, 51)).publish();
    bench.hub.limit_rate(Some(1 << 20));
    let (other, slow) = (bench.provisioner(), id("d"));
    let bringing = tokio::spawn(async move { other.ensure_present_str(&slow, None).await });
    let began = Instant::now();
    while bench.partials().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "the transfer never began");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let done = evict(&provisioner, to(0)).await;
    assert_eq!(done.evicted.len(), 3);
    bench.hub.limit_rate(None);
    let model = bringing.await.unwrap().unwrap();
    assert_eq!(fs_err::read(model.local_path.join("same.gguf")).unwrap(), bytes(300_000, 99));
    assert_eq!(bench.hub.bytes_sent("d.gguf"), 900_000, "what had arrived was not fetched again");
}

/// Plays the part of a reader, in a process of its own, for a process holds a lease.
#[test]
#[ignore = "a part of `readers_never_miss_a_file`, which runs it as a process"]
#[expect(clippy::disallowed_methods, reason = "its parent tells it what to do")]
fn reader() {
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let (cache, endpoint, models) = (told("READER_CACHE"), told("READER_HUB"), told("READER_MODELS"));
    if cache.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(read_for_ever(cache.as_ref(), &endpoint, &models));
}

async fn read_for_ever(cache: &Path, endpoint: &str, models: &str) {
    use std::io::Write;
    let provisioner = crate::fixture::builder_at(cache, endpoint).build().unwrap();
    let store = Store::new(cache.join("store-v1"));
    for n in 0usize.. {
        let names: Vec<_> = models.split(',').collect();
        // Each in an order of its own.
        let id = id(names[(n * 7 + std::process::id() as usize * 5) % names.len()]);
        let model = provisioner.ensure_present_str(&id, None).await.unwrap();
        let Ok(_lease) = store.lease(&model.local_path, &id, Duration::from_secs(10)) else { continue };
        if provisioner.locate(&reference(&id)).await.unwrap().is_none() {
            continue;
        }
        for _ in 0..3 {
            for file in &model.files {
                let read = fs_err::read(model.location(&file.path)).unwrap();
                let found = model_provisioner::Digest::sha256(Sha256::digest(&read).into());
                assert_eq!(Some(&found), file.sha256.as_ref());
            }
            let mut told = std::io::stdout().lock();
            writeln!(told, "whole {id}").unwrap();
            drop(told);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

fn start_reader(bench: &Fixture, models: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["eviction::reader", "--exact", "--ignored", "--nocapture"])
        .env("READER_CACHE", bench.cache())
        .env("READER_HUB", bench.hub.endpoint())
        .env("READER_MODELS", models)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_never_miss_a_file() {
    let (readers, seconds) = tier((4, 5), (16, 60));
    let bench = Arc::new(Fixture::new());
    // Twice as many models as readers, so that at any moment some are in use and some are not.
    let models: Vec<_> = (0..2 * readers).map(|n| format!("m{n}")).collect();
    let provisioner = several(&bench, &models).await;
    let children: Vec<_> = (0..readers).map(|_| start_reader(&bench, &models.join(","))).collect();
    let began = Instant::now();
    let (mut evicted, mut spared) = (0, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        let Ok(plan) = provisioner.plan_eviction(&to(0)).await else { continue };
        let Ok(done) = provisioner.evict(&plan).await else { continue };
        evicted += done.evicted.len();
        spared += done.kept.iter().filter(|kept| kept.reason.contains("in use by")).count();
    }
    let mut whole = 0;
    for mut child in children {
        assert!(child.try_wait().unwrap().is_none(), "{}", told(child));
        child.kill().unwrap();
        let done = child.wait_with_output().unwrap();
        whole += String::from_utf8_lossy(&done.stdout).matches("whole ").count();
    }
    assert!(evicted > 0 && spared > 0 && whole > readers, "{evicted} evicted, {spared} spared, {whole} read");
    let last = evict(&provisioner, to(0)).await;
    assert_eq!(last.kept, [], "those of the dead are evictable at once");
    assert!(provisioner.list().await.unwrap().models.is_empty());
    // The transfers of a killed process stay for the next one to resume. No model is left.
    let find = |kind: &str| {
        let store = bench.cache().join("store-v1");
        let found = Command::new("find").current_dir(store).args(["blobs", "models", "-type", kind]).output();
        String::from_utf8(found.unwrap().stdout).unwrap()
    };
    assert_eq!(find("f"), "");
}

fn told(child: Child) -> String {
    let done = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}
