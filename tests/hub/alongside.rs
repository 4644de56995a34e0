//! `doctor --fix` beside live processes: it takes no half-done work for a problem, and moves no file that a process uses.

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use artifact_store::{LockWait, Store};
use async_trait::async_trait;
use model_provisioner::{
    AdoptMode, CatalogError, CatalogRecord, CatalogStore, DamagedRecord, EvictionLimits, Expectation,
    FsCatalog, HealthFinding, Hint, Lifecycle, Listing, ModelProvisioner, ModelRef, Outcome, Precondition,
    ProgressEvent, ProgressSink, Repair, StagedModel, Timestamp, Verdict, Verifier, Version, Versioned,
    blocking,
};

use crate::fixture::{Fixture, builder_at, bytes, code, sha256};

const ID: &str = "hf:org/repo?include=*";

fn reference() -> ModelRef {
    ID.parse().unwrap()
}

type Hook = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// A catalog during whose calls another process does something, once.
struct Meanwhile {
    catalog: FsCatalog,
    after_get: Hook,
    after_list: Hook,
    /// Runs before the catalog gets the first record of an id.
    before_put: Hook,
}

impl Meanwhile {
    fn new(bench: &Fixture) -> Self {
        let catalog = FsCatalog::open(&bench.cache(), Arc::new(Now), Duration::from_secs(10)).unwrap();
        Self { catalog, after_get: Hook::default(), after_list: Hook::default(), before_put: Hook::default() }
    }
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

/// Lets another process do something.
async fn happen(hook: &Hook) {
    let what = hook.lock().unwrap().take();
    if let Some(what) = what {
        tokio::task::spawn_blocking(what).await.unwrap();
    }
}

#[async_trait]
impl CatalogStore for Meanwhile {
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError> {
        let found = self.catalog.get(id).await;
        happen(&self.after_get).await;
        found
    }

    async fn put(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError> {
        if expected == Precondition::Absent {
            happen(&self.before_put).await;
        }
        self.catalog.put(record, expected).await
    }

    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError> {
        self.catalog.remove(id, expected).await
    }

    async fn list(&self) -> Result<Listing, CatalogError> {
        let listing = self.catalog.list().await;
        happen(&self.after_list).await;
        listing
    }

    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError> {
        self.catalog.set_aside(damaged).await
    }
}

#[derive(Debug)]
struct Now;

impl model_provisioner::Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::try_from(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)).unwrap()
    }
}

fn published() -> Fixture {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(10_000, 1)).file("config.json", "{}").publish();
    bench
}

async fn fetched() -> (Fixture, ModelProvisioner, PathBuf) {
    let bench = published();
    let provisioner = bench.provisioner();
    let root = provisioner.ensure_present_str(ID, None).await.unwrap().local_path;
    bench.hub.reset_counts();
    (bench, provisioner, root)
}

fn inode(path: &Path) -> u64 {
    fs_err::metadata(path).unwrap().ino()
}

fn touch(path: &Path) {
    fs_err::File::open(path).unwrap().file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

fn quarantine_is_empty(bench: &Fixture) -> bool {
    !bench.cache().join("store-v1/quarantine").exists()
}

#[track_caller]
fn all_mended(findings: &[HealthFinding], told: &str) {
    assert!(findings.iter().any(|finding| finding.problem.contains(told)), "{told}: {findings:?}");
    assert!(findings.iter().all(|finding| finding.mended.is_some()), "{findings:?}");
}

#[tokio::test]
async fn what_comes_and_goes_meanwhile_leaves_no_second_record_and_no_phantom() {
    for is_removed in [false, true] {
        let bench = published();
        let (ours, theirs) = (bench.provisioner(), bench.provisioner());
        let ensure =
            move || drop(blocking::ModelProvisioner::from(ours).ensure_present_str(ID, None).unwrap());
        let remove = move || drop(blocking::ModelProvisioner::from(theirs).remove(&reference()).unwrap());
        let catalog = Meanwhile {
            after_list: Mutex::new(Some(Box::new(ensure))),
            before_put: Mutex::new(is_removed.then_some(Box::new(remove))),
            ..Meanwhile::new(&bench)
        };
        let doctor = bench.builder().catalog(catalog).build().unwrap();
        let findings = doctor.doctor(true).await.unwrap();
        assert_eq!(findings, [], "is removed: {is_removed}");
        let models = doctor.list().await.unwrap().models;
        let ids: Vec<_> = models.iter().map(|model| model.record.id.as_str()).collect();
        assert_eq!(ids, [ID], "is removed: {is_removed}");
        for model in models {
            assert!(model.record.lifecycle == Lifecycle::Active && model.record.local_path.exists());
        }
    }
}

#[tokio::test]
async fn a_leased_model_that_was_touched_stays_where_it_is() {
    let (bench, provisioner, root) = fetched().await;
    let lease = Store::new(bench.cache().join("store-v1")).lease(&root, ID, Duration::ZERO).unwrap();
    let file = root.join("a.gguf");
    let before = (inode(&root), inode(&file), inode(&root.join(".model.json")));
    touch(&file);
    all_mended(&provisioner.doctor(true).await.unwrap(), "changed since it was judged");
    assert_eq!(before, (inode(&root), inode(&file), inode(&root.join(".model.json"))));
    assert!(provisioner.locate(&reference()).await.unwrap().is_some() && quarantine_is_empty(&bench));
    // Without its seal too.
    touch(&file);
    fs_err::remove_file(root.join(".model.json")).unwrap();
    all_mended(&provisioner.doctor(true).await.unwrap(), "has lost its seal");
    assert_eq!((before.0, before.1), (inode(&root), inode(&file)));
    assert_eq!(provisioner.doctor(false).await.unwrap(), []);
    // `doctor` leaves a file with other bytes to the processes that use it, and does not move it.
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&file, bytes(10_000, 2)).unwrap();
    let found = provisioner.doctor(true).await.unwrap();
    assert!(found.iter().any(|finding| finding.mended.is_none()), "{found:?}");
    assert_eq!((before.0, before.1), (inode(&root), inode(&file)));
    assert_eq!(bench.hub.requests().len(), 0);
    drop(lease);
}

#[tokio::test]
async fn what_is_being_made_present_is_passed_over() {
    let (bench, _, root) = fetched().await;
    let provisioner = bench.builder().wait(Duration::from_secs(60)).build().unwrap();
    let store = Store::new(bench.cache().join("store-v1"));
    let wait = LockWait { limit: Some(Duration::ZERO), stall: Duration::ZERO };
    let lock = store.model_lock(ID, wait, &mut |_| true).unwrap();
    touch(&root.join("a.gguf"));
    assert_eq!(provisioner.doctor(true).await.unwrap(), []);
    drop(lock);
    all_mended(&provisioner.doctor(true).await.unwrap(), "changed since it was judged");
}

/// Lists every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), path);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_copied_cache_is_known_for_one_and_read_once() {
    let (bench, _, _) = fetched().await;
    let copy = bench.path("copy");
    // As `cp -r` does: other inodes, other times, and no link between a view and its blobs.
    for (name, path) in files(&bench.cache()) {
        let to = copy.join(name);
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        fs_err::copy(path, to).unwrap();
    }
    let provisioner = builder_at(&copy, &bench.hub.endpoint()).build().unwrap();
    let before: BTreeMap<_, _> =
        files(&copy.join("store-v1/models")).into_iter().map(|(name, path)| (name, inode(&path))).collect();
    let found = provisioner.doctor(false).await.unwrap();
    let [copied] = found.as_slice() else { panic!("one: {found:?}") };
    assert!(copied.problem.contains("was copied since it was judged"), "{copied:?}");
    assert!(copied.hint == Some(Hint::Repair(Repair::ReadsAnew)), "{copied:?}");
    all_mended(&provisioner.doctor(true).await.unwrap(), "was copied");
    assert_eq!(provisioner.doctor(false).await.unwrap(), []);
    let after = files(&copy.join("store-v1/models")).into_iter().map(|(name, path)| (name, inode(&path)));
    assert_eq!(before, after.collect());
    assert!(provisioner.locate(&reference()).await.unwrap().is_some());
    assert!(!copy.join("store-v1/quarantine").exists() && bench.hub.requests().is_empty());
}

#[tokio::test]
async fn a_cache_on_another_device_is_as_it_was() {
    let (bench, provisioner, root) = fetched().await;
    let before = (inode(&root), inode(&root.join("a.gguf")));
    // What a remount does to every stamp, seen from the other side.
    for (_, path) in files(&bench.cache()) {
        let Ok(text) = fs_err::read_to_string(&path) else { continue };
        let dev = format!("\"dev\":{}", fs_err::metadata(&path).unwrap().dev());
        let pretty = dev.replace(':', ": ");
        if text.contains(&dev) || text.contains(&pretty) {
            let text = text.replace(&dev, "\"dev\":1").replace(&pretty, "\"dev\": 1");
            fs_err::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
            fs_err::write(&path, text).unwrap();
        }
    }
    assert_eq!(provisioner.doctor(true).await.unwrap(), []);
    assert_eq!(before, (inode(&root), inode(&root.join("a.gguf"))));
    assert!(quarantine_is_empty(&bench) && bench.hub.requests().is_empty());
}

#[tokio::test]
async fn a_stray_file_beside_models_is_named_itself_and_nothing_else_is() {
    let (bench, provisioner, root) = fetched().await;
    let stray = bench.cache().join("store-v1/models/hf/org/notes.txt");
    fs_err::write(&stray, "hello").unwrap();
    for fix in [false, true, false] {
        let found = provisioner.doctor(fix).await.unwrap();
        let [finding] = found.as_slice() else { panic!("one: {found:?}") };
        assert!(finding.problem.contains(&format!("`{}`", stray.display())), "{finding:?}");
        let hint = finding.hint.as_ref().unwrap().to_string();
        assert!(!hint.contains("repair") && !hint.contains("remove"), "{hint}");
        assert!(root.exists() && stray.exists() && finding.mended.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beside_those_who_come_and_go_there_is_nothing_to_find() {
    let bench = published();
    bench.hub.repo("org/other").lfs("b.gguf", bytes(5_000, 2)).publish();
    let is_over = Arc::new(AtomicBool::new(false));
    let others = [ID, "hf:org/other/b.gguf", ID].map(|id| {
        let (provisioner, is_over) = (bench.provisioner(), Arc::clone(&is_over));
        tokio::spawn(async move {
            let reference: ModelRef = id.parse().unwrap();
            while !is_over.load(Ordering::Relaxed) {
                drop(provisioner.ensure(&reference, &Expectation::none()).await);
                drop(provisioner.remove(&reference).await);
            }
        })
    });
    let doctor = bench.provisioner();
    for round in 0..200 {
        assert_eq!(doctor.doctor(round % 2 == 0).await.unwrap(), [], "round {round}");
    }
    is_over.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(doctor.doctor(true).await.unwrap(), []);
    assert!(doctor.list().await.unwrap().models.iter().all(|model| !model.record.id.contains('@')));
    assert!(quarantine_is_empty(&bench));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_refresh_leaves_behind_is_not_recorded_once_it_is_taken_away() {
    let (bench, provisioner, old) = fetched().await;
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(10_000, 2)).file("config.json", "{}").publish();
    let other = bench.builder().wait(Duration::from_millis(100)).build().unwrap();
    let take_away = move || {
        let other = blocking::ModelProvisioner::from(other);
        let all = EvictionLimits { max_size_bytes: Some(0), grace: Duration::ZERO };
        // It is busy for as long as the refresh keeps others out.
        drop(other.plan_eviction(&all).and_then(|plan| other.evict(&plan)));
    };
    let catalog = Meanwhile { before_put: Mutex::new(Some(Box::new(take_away))), ..Meanwhile::new(&bench) };
    let refreshing = bench.builder().catalog(catalog).build().unwrap();
    refreshing.refresh(&reference(), &Expectation::none()).await.unwrap();
    let models = provisioner.list().await.unwrap().models;
    let is_recorded = models.iter().any(|model| model.record.local_path == old);
    assert_eq!(is_recorded, old.exists(), "{models:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_refresh_leaves_behind_is_not_recorded_beside_its_own_record() {
    let (bench, provisioner, old) = fetched().await;
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(10_000, 2)).file("config.json", "{}").publish();
    let other = bench.provisioner();
    // The new record has just replaced the old one, and nothing names the old view, which is sealed.
    let bring_back = move || {
        let other = blocking::ModelProvisioner::from(other);
        other.remove(&reference()).unwrap();
        all_mended(&other.doctor(true).unwrap(), "");
    };
    let moved = OnEvent {
        is_it: |event| matches!(event, ProgressEvent::Ready { .. }),
        hook: Mutex::new(Some(Box::new(bring_back))),
    };
    let refreshing = bench.builder().progress(moved).build().unwrap();
    refreshing.refresh(&reference(), &Expectation::none()).await.unwrap();
    let models = provisioner.list().await.unwrap().models;
    let recorded: Vec<_> =
        models.iter().map(|model| (model.record.id.as_str(), &model.record.local_path)).collect();
    assert_eq!(recorded, [(ID, &old)]);
}

/// A verifier during whose judgement another process does something, once. It finds no fault.
struct Interrupted(Hook);

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupted")
    }
}

impl Verifier for Interrupted {
    fn name(&self) -> &'static str {
        "interrupted"
    }

    fn verify(&self, _: &StagedModel, _: &Expectation) -> std::io::Result<Verdict> {
        if let Some(what) = self.0.lock().unwrap().take() {
            what();
        }
        Ok(Verdict::Pass { basis: None, reason: String::new() })
    }
}

#[tokio::test]
async fn a_model_that_is_removed_while_it_is_verified_is_not_in_the_catalog() {
    let (bench, provisioner, _) = fetched().await;
    let other = bench.provisioner();
    let remove = move || drop(blocking::ModelProvisioner::from(other).remove(&reference()).unwrap());
    let interrupted = Interrupted(Mutex::new(Some(Box::new(remove))));
    let slow = bench.builder().verifier(interrupted).build().unwrap();
    assert_eq!(code(slow.verify(&reference()).await), "not-in-catalog");
    assert!(provisioner.list().await.unwrap().models.is_empty() && quarantine_is_empty(&bench));
}

#[tokio::test]
async fn a_model_whose_bytes_are_linked_while_it_is_verified_passes() {
    let (bench, weights) = (Fixture::new(), bytes(100_000, 3));
    for name in ["org/one", "org/two"] {
        bench.hub.repo(name).lfs("a.gguf", weights.clone()).publish();
    }
    bench.foreign(&format!("plain/{}", sha256(&weights)), &weights);
    bench.foreign("plain/a.gguf", &weights);
    let other = bench.adopter(AdoptMode::Link);
    other.ensure_present_str("hf:org/one/a.gguf", None).await.unwrap();
    let link = move || {
        let model =
            blocking::ModelProvisioner::from(other).ensure_present_str("hf:org/two/a.gguf", None).unwrap();
        assert!(
            fs_err::metadata(model.local_path).unwrap().nlink() >= 4,
            "one file, two views, a blob and a foreign name"
        );
    };
    let interrupted = Interrupted(Mutex::new(Some(Box::new(link))));
    let slow = bench.builder().verifier(interrupted).build().unwrap();
    let report = slow.verify(&"hf:org/one/a.gguf".parse().unwrap()).await.unwrap();
    assert_eq!(report.outcome, Outcome::Pass, "{report:?}");
}

#[tokio::test]
async fn a_model_that_is_being_exported_is_not_removed() {
    let (bench, _, _) = fetched().await;
    let removed = Arc::new(Mutex::new(None));
    let (other, seen) = (bench.provisioner(), Arc::clone(&removed));
    let remove = move || {
        let result = blocking::ModelProvisioner::from(other).remove(&reference());
        *seen.lock().unwrap() = Some(result.map(drop).map_err(|error| error.code().as_str()));
    };
    let is_it = |event: &ProgressEvent| matches!(event, ProgressEvent::HashStarted { .. });
    let during = OnEvent { is_it, hook: Mutex::new(Some(Box::new(remove))) };
    let exporter = bench.builder().progress(during).build().unwrap();
    exporter.export(&reference(), &bench.path("out")).await.unwrap();
    assert_eq!(removed.lock().unwrap().take(), Some(Err("in-use")));
    assert_eq!(fs_err::read(bench.path("out/a.gguf")).unwrap(), bytes(10_000, 1));
    // A model that is gone before the lease is not in the catalog.
    let other = bench.provisioner();
    let remove = move || drop(blocking::ModelProvisioner::from(other).remove(&reference()).unwrap());
    let catalog = Meanwhile { after_get: Mutex::new(Some(Box::new(remove))), ..Meanwhile::new(&bench) };
    let exporter = bench.builder().catalog(catalog).build().unwrap();
    assert_eq!(code(exporter.export(&reference(), &bench.path("again")).await), "not-in-catalog");
    assert!(!bench.path("again").exists());
}

/// A progress sink that lets another process do something at the first event of a kind, once.
struct OnEvent {
    is_it: fn(&ProgressEvent) -> bool,
    hook: Hook,
}

impl std::fmt::Debug for OnEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnEvent")
    }
}

impl ProgressSink for OnEvent {
    fn on_event(&self, event: &ProgressEvent) {
        let what = self.hook.lock().unwrap().take_if(|_| (self.is_it)(event));
        if let Some(what) = what {
            what();
        }
    }
}
