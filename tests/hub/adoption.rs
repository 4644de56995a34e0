//! The library takes files of other tools on this machine instead of fetching them.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::{Mutex, mpsc},
    time::Duration,
};

use artifact_store::Store;
use model_provisioner::{
    AdoptMode, FileState, HubFetcher, HubSettings, Outcome, Policy, ProgressEvent, ProgressSink,
};
use testkit::{TINY_GGUF, safetensors_of};

use crate::fixture::{Fixture, bytes, content_sent, git_sha1, rewrite_in_place, sha256};

const REPO: &str = "hf:org/repo";
const CONFIG: &[u8] = b"{\"architectures\": []}";

/// Publishes a repository, and makes a cache of the Hub's own tools that has all of it.
fn downloaded(bench: &Fixture) -> Vec<u8> {
    let weights = safetensors_of(3 << 20, 5);
    bench
        .hub
        .repo("org/repo")
        .lfs("model.safetensors", weights.clone())
        .file("config.json", CONFIG)
        .publish();
    let blobs = "hub/models--org--repo/blobs";
    let large = bench.foreign(&format!("{blobs}/{}", sha256(&weights)), &weights);
    fs_err::set_permissions(large, PermissionsExt::from_mode(0o640)).unwrap();
    bench.foreign(&format!("{blobs}/{}", git_sha1(CONFIG)), CONFIG);
    bench.foreign("hub/models--org--other/blobs/decoy", "decoy");
    weights
}

#[tokio::test]
async fn a_model_that_was_downloaded_by_others_costs_no_byte() {
    for mode in [AdoptMode::Link, AdoptMode::Copy] {
        let bench = Fixture::new();
        let weights = downloaded(&bench);
        let before = bench.seen_by_others();
        let provisioner = bench.adopter(mode);
        let plan = provisioner.plan(&REPO.parse().unwrap()).await.unwrap();
        assert!(
            plan.files.iter().all(|file| file.state == FileState::Adopt && file.from.is_some()),
            "{plan:?}"
        );
        let copied = if mode == AdoptMode::Copy { weights.len() + CONFIG.len() } else { 0 };
        assert_eq!((plan.download_bytes(), plan.space_needed_bytes()), (0, copied as u64));
        let model = provisioner.ensure_present_str(REPO, None).await.unwrap();
        assert_eq!(content_sent(&bench), 0);
        assert!(model.cached, "nothing was fetched");
        assert_eq!(model.verification.outcome, Outcome::Pass);
        assert_eq!(fs_err::read(model.local_path.join("model.safetensors")).unwrap(), weights);
        assert_eq!(bench.seen_by_others(), before, "{mode:?}");
        let foreign = before.keys().find(|path| path.ends_with(sha256(&weights))).unwrap();
        let ours = fs_err::metadata(model.local_path.join("model.safetensors")).unwrap();
        assert_eq!(fs_err::metadata(foreign).unwrap().ino() == ours.ino(), mode == AdoptMode::Link);
        let line = bench.provenance().into_iter().find(|line| line["action"] == "adopt").unwrap();
        assert_eq!(line["adopted"][1]["from"], foreign.to_str().unwrap());
        assert_eq!(line["adopted"][1]["way"], if mode == AdoptMode::Link { "link" } else { "copy" });
        assert!(bench.partials().is_empty());
        bench.hub.reset_counts();
        let again = provisioner.ensure_present_str(REPO, None).await.unwrap();
        assert_eq!((again.files, again.verification), (model.files, model.verification), "nothing was read");
        assert_eq!(bench.hub.requests().len(), 0);
    }
}

#[tokio::test]
async fn what_is_off_is_fetched() {
    let bench = Fixture::new();
    let weights = downloaded(&bench);
    let model = bench.adopter(AdoptMode::Off).ensure_present_str(REPO, None).await.unwrap();
    assert_eq!((content_sent(&bench), model.cached), ((weights.len() + CONFIG.len()) as u64, false));
}

#[tokio::test]
async fn ollama_and_plain_folders_have_bytes_too() {
    let bench = Fixture::new();
    let (one, two, three) = (bytes(70_000, 1), bytes(80_000, 2), bytes(80_000, 3));
    bench
        .hub
        .repo("org/repo")
        .lfs("1.gguf", one.clone())
        .lfs("2.gguf", two.clone())
        .lfs("3.gguf", three.clone())
        .publish();
    bench.foreign(&format!("ollama/blobs/sha256-{}", sha256(&one)), &one);
    // Two of one size: the name says which is which, and where it does not, the bytes do.
    bench.foreign("plain/deep/renamed.gguf", &two);
    bench.foreign("plain/3.gguf", &three);
    let model =
        bench.adopter(AdoptMode::Link).ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    assert_eq!((content_sent(&bench), model.cached), (0, true));
    for (name, bytes) in [("1.gguf", one), ("2.gguf", two), ("3.gguf", three)] {
        assert_eq!(fs_err::read(model.local_path.join(name)).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_wrong_byte_is_not_adopted() {
    let bench = Fixture::new();
    let weights = downloaded(&bench);
    let blob = bench.path("foreign/hub/models--org--repo/blobs").join(sha256(&weights));
    let mut wrong = weights.clone();
    wrong[1_000_000] ^= 1;
    rewrite_in_place(&blob, &wrong);
    let before = bench.seen_by_others();
    let model = bench.adopter(AdoptMode::Link).ensure_present_str(REPO, None).await.unwrap();
    assert_eq!((content_sent(&bench), model.cached), (weights.len() as u64, false));
    assert_eq!(fs_err::read(model.local_path.join("model.safetensors")).unwrap(), weights);
    assert_eq!(bench.seen_by_others(), before);
    fs_err::write(&blob, "short").unwrap();
    assert!(bench.adopter(AdoptMode::Link).ensure_present_str(REPO, None).await.unwrap().cached);
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn a_symlink_is_not_followed() {
    let bench = Fixture::new();
    let weights = downloaded(&bench);
    let blob = bench.path("foreign/hub/models--org--repo/blobs").join(sha256(&weights));
    fs_err::rename(&blob, bench.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere"), &blob).unwrap();
    bench.adopter(AdoptMode::Link).ensure_present_str(REPO, None).await.unwrap();
    assert_eq!(content_sent(&bench), weights.len() as u64);
}

#[tokio::test]
async fn what_others_change_later_is_noticed_and_fetched() {
    let bench = Fixture::new();
    let weights = downloaded(&bench);
    let blob = bench.path("foreign/hub/models--org--repo/blobs").join(sha256(&weights));
    let provisioner = bench.adopter(AdoptMode::Link);
    let first = provisioner.ensure_present_str(REPO, None).await.unwrap();
    let mut changed = weights.clone();
    changed[7] ^= 1;
    rewrite_in_place(&blob, &changed);
    assert!(
        provisioner.locate(&REPO.parse().unwrap()).await.unwrap().is_none(),
        "a look is enough to see it"
    );
    let before = bench.seen_by_others();
    let mended = provisioner.ensure_present_str(REPO, None).await.unwrap();
    assert_eq!((content_sent(&bench), mended.cached), (weights.len() as u64, false));
    assert_eq!(mended.local_path, first.local_path);
    assert_eq!(fs_err::read(mended.local_path.join("model.safetensors")).unwrap(), weights);
    assert_eq!(bench.seen_by_others(), before, "what they have now is theirs");
    bench.hub.reset_counts();
    assert!(provisioner.ensure_present_str(REPO, None).await.unwrap().cached);
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn what_only_looks_changed_is_read_once_and_goes_on() {
    let bench = Fixture::new();
    let weights = downloaded(&bench);
    let provisioner = bench.adopter(AdoptMode::Link);
    let first = provisioner.ensure_present_str(REPO, None).await.unwrap();
    let blob = bench.path("foreign/hub/models--org--repo/blobs").join(sha256(&weights));
    rewrite_in_place(&blob, &weights);
    bench.hub.reset_counts();
    let second = provisioner.ensure_present_str(REPO, None).await.unwrap();
    assert_ne!(first.files, second.files, "the stamp is another one");
    assert_eq!(second.files[1].stamp.ctime_ns, Some(ctime_ns(&second.local_path.join("model.safetensors"))));
    let third = provisioner.ensure_present_str(REPO, None).await.unwrap();
    assert_eq!(second.files, third.files);
    assert_eq!(provisioner.verify(&REPO.parse().unwrap()).await.unwrap().outcome, Outcome::Pass);
    let fourth = provisioner.ensure_present_str(REPO, None).await.unwrap();
    assert_eq!(fourth.files, third.files, "verifying forgets nothing");
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn a_lost_stamp_does_not_hide_that_a_file_is_shared() {
    let bench = Fixture::new();
    let weights = downloaded(&bench);
    let provisioner = bench.adopter(AdoptMode::Link);
    let first = provisioner.ensure_present_str(REPO, None).await.unwrap();
    let blob = bench.path("foreign/hub/models--org--repo/blobs").join(sha256(&weights));
    let ours = bench.cache().join("store-v1/blobs/sha256").join(&sha256(&weights)[..2]);
    fs_err::remove_file(ours.join(&sha256(&weights)[2..]).with_extension("stamp")).unwrap();
    rewrite_in_place(&blob, &weights);
    let second = provisioner.ensure_present_str(REPO, None).await.unwrap();
    assert!(second.files[1].stamp.ctime_ns.is_some() && second.files != first.files);
    let mut changed = weights.clone();
    changed[7] ^= 1;
    rewrite_in_place(&blob, &changed);
    assert!(provisioner.locate(&REPO.parse().unwrap()).await.unwrap().is_none());
}

fn ctime_ns(path: &std::path::Path) -> i64 {
    let metadata = fs_err::metadata(path).unwrap();
    metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec()
}

#[tokio::test]
async fn shared_bytes_serve_several_models_and_places() {
    let bench = Fixture::new();
    let weights = bytes(100_000, 4);
    let twice = bench.hub.repo("org/one").lfs("a.gguf", weights.clone()).lfs("b.gguf", weights.clone());
    twice.publish();
    bench.hub.repo("org/two").lfs("c.gguf", weights.clone()).publish();
    let blob = bench.foreign(&format!("hub/models--org--one/blobs/{}", sha256(&weights)), &weights);
    let provisioner = bench.adopter(AdoptMode::Link);
    let ids = ["hf:org/one?include=*", "hf:org/two/c.gguf"];
    for id in ids {
        assert!(provisioner.ensure_present_str(id, None).await.unwrap().cached, "{id}");
    }
    // Theirs, our blob, and three names in views.
    assert_eq!(fs_err::metadata(&blob).unwrap().nlink(), 5);
    for _ in 0..2 {
        for id in ids {
            assert!(provisioner.ensure_present_str(id, None).await.unwrap().cached, "{id}");
        }
    }
    assert_eq!(content_sent(&bench), 0);
    let settled = bench.cache().join("provenance.jsonl");
    let present = provisioner.locate(&ids[0].parse().unwrap()).await.unwrap();
    assert!(present.is_some() && settled.exists());
    for id in ids {
        provisioner.remove(&id.parse().unwrap()).await.unwrap();
    }
    let metadata = fs_err::metadata(&blob).unwrap();
    assert_eq!((metadata.nlink(), fs_err::read(&blob).unwrap()), (1, weights), "all our names are gone");
}

#[tokio::test]
async fn many_processes_may_adopt_one_file() {
    let bench = Fixture::new();
    let weights = bytes(2 << 20, 6);
    let names: Vec<_> = (0..6).map(|n| format!("org/r{n}")).collect();
    for name in &names {
        bench.hub.repo(name).lfs("a.gguf", weights.clone()).publish();
    }
    let blob = bench.foreign(&format!("hub/models--org--r0/blobs/{}", sha256(&weights)), &weights);
    let provisioners: Vec<_> = names.iter().map(|_| bench.adopter(AdoptMode::Link)).collect();
    let tasks = provisioners.iter().zip(&names).map(|(provisioner, name)| async move {
        provisioner.ensure_present_str(&format!("hf:{name}/a.gguf"), None).await
    });
    for done in futures_util::future::join_all(tasks).await {
        assert!(done.unwrap().cached);
    }
    assert_eq!((content_sent(&bench), fs_err::read(&blob).unwrap()), (0, weights));
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn the_same_bytes_twice_in_one_model_are_copied_too() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").file("a.json", "{}").file("d/b.json", "{}").publish();
    bench.foreign(&format!("hub/models--org--repo/blobs/{}", git_sha1(b"{}")), b"{}");
    for mode in [AdoptMode::Copy, AdoptMode::Link] {
        let provisioner = bench.adopter(mode);
        let id = "hf:org/repo?include=*".parse().unwrap();
        assert_eq!(provisioner.ensure_present(&id, None).await.unwrap().files.len(), 2, "{mode:?}");
        provisioner.remove(&id).await.unwrap();
    }
}

#[tokio::test]
async fn a_local_model_is_none_of_this() {
    let bench = Fixture::new();
    let path = bench.foreign("plain/a.gguf", TINY_GGUF);
    let provisioner = bench.adopter(AdoptMode::Link);
    let model = provisioner.ensure_present_str(path.to_str().unwrap(), None).await.unwrap();
    assert_eq!((model.local_path, fs_err::metadata(&path).unwrap().nlink()), (path, 1));
    let offline = bench.builder().policy(Policy::default());
    let settings = HubSettings::new(Some("http://127.0.0.1:1")).unwrap();
    let offline = offline.fetcher(HubFetcher::new(settings)).adopt(bench.adoption(AdoptMode::Link));
    assert!(
        offline.build().unwrap().ensure_present_str(REPO, None).await.is_err(),
        "a listing needs the network"
    );
}

/// A progress sink that stops the work that holds the store's lock, once, until the test lets it go on.
#[derive(Debug)]
struct StopsUnderLock {
    store: Store,
    gate: Mutex<Option<(tokio::sync::oneshot::Sender<()>, mpsc::Receiver<()>)>>,
}

impl ProgressSink for StopsUnderLock {
    fn on_event(&self, _: &ProgressEvent) {
        let mut gate = self.gate.lock().unwrap();
        if gate.is_some() && self.store.lock_exclusive(Duration::ZERO).is_err() {
            let (reached, go_on) = gate.take().unwrap();
            reached.send(()).unwrap();
            go_on.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_its_caller_drops_holds_the_lock_to_its_end() {
    let bench = Fixture::new();
    downloaded(&bench);
    let store = Store::new(bench.cache().join("store-v1"));
    let (reached, is_reached) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let sink = StopsUnderLock { store: store.clone(), gate: Mutex::new(Some((reached, may_go_on))) };
    let builder = bench.builder().adopt(bench.adoption(AdoptMode::Link)).progress(sink);
    let provisioner = builder.build().unwrap();
    let ensure = tokio::spawn(async move { provisioner.ensure_present_str(REPO, None).await });
    tokio::time::timeout(Duration::from_secs(60), is_reached).await.unwrap().unwrap();
    ensure.abort();
    assert!(ensure.await.unwrap_err().is_cancelled());
    assert!(store.lock_exclusive(Duration::ZERO).is_err(), "the work goes on, and has the lock");
    go_on.send(()).unwrap();
    drop(store.lock_exclusive(Duration::from_secs(20)).unwrap());
}
