//! Finding the problems of fetched models, and repairing them.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};
use testkit::TINY_GGUF;

use artifact_store::Store;
use model_provisioner::{
    EnsureEffect, EvictionLimits, Expectation, HealthFinding, Hint, ModelProvisioner, ModelRef, Outcome,
};

use crate::fixture::{Fixture, builder_at, bytes};

const ID: &str = "hf:org/repo?include=*";

fn reference() -> ModelRef {
    ID.parse().unwrap()
}

async fn bench() -> (Fixture, ModelProvisioner, PathBuf) {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(10_000, 1)).file("config.json", "{}").publish();
    let provisioner = bench.provisioner();
    let root = provisioner.ensure_present_str(ID, None).await.unwrap().local_path;
    assert_eq!(provisioner.doctor(false).await.unwrap(), []);
    (bench, provisioner, root)
}

/// Expects that `doctor` finds a problem, repairs it, and finds it no more, with the model as it was.
async fn is_mended(provisioner: &ModelProvisioner, told: &str) {
    let found = provisioner.doctor(false).await.unwrap();
    let about = |found: &[HealthFinding]| found.iter().any(|finding| finding.problem.contains(told));
    assert!(about(&found) && found.iter().all(|finding| finding.hint.is_some()), "{told}: {found:?}");
    let mended = provisioner.doctor(true).await.unwrap();
    assert!(about(&mended) && mended.iter().all(|finding| finding.mended.is_some()), "{told}: {mended:?}");
    assert_eq!(provisioner.doctor(false).await.unwrap(), [], "{told}");
}

#[tokio::test]
async fn what_is_wrong_with_the_store_is_mended_without_a_network() {
    let (bench, provisioner, root) = bench().await;
    bench.hub.reset_counts();
    let store = bench.cache().join("store-v1");
    fs_err::remove_file(root.join(".model.json")).unwrap();
    is_mended(&provisioner, "has lost its seal").await;
    fs_err::remove_file(root.join("a.gguf")).unwrap();
    is_mended(&provisioner, "its bytes are in the store").await;
    fs_err::set_permissions(root.join("a.gguf"), PermissionsExt::from_mode(0o600)).unwrap();
    is_mended(&provisioner, "has the mode 0600").await;
    for folder in ["blobs/sha256/00", "models/hf/org/.gone.x"] {
        fs_err::create_dir_all(store.join(folder)).unwrap();
    }
    fs_err::write(store.join("blobs/sha256/00").join("0".repeat(62)), "orphan").unwrap();
    is_mended(&provisioner, "no model has it").await;
    fs_err::rename(root.join(".model.json"), root.join(".removed.json")).unwrap();
    is_mended(&provisioner, "its removal was begun").await;
    assert!(!root.exists() && provisioner.list().await.unwrap().models.is_empty());
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn what_is_in_the_way_of_a_blob_or_the_log_is_found_and_set_aside() {
    let (bench, provisioner, root) = bench().await;
    let store = Store::new(bench.cache().join("store-v1"));
    let sha256 = crate::fixture::sha256(bytes(10_000, 1));
    let blob = store.root().join("blobs/sha256").join(&sha256[..2]).join(&sha256[2..]);
    let elsewhere = bench.path("elsewhere");
    fs_err::rename(&blob, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &blob).unwrap();
    is_mended(&provisioner, "is not a regular file").await;
    assert!(fs_err::symlink_metadata(&blob).unwrap().is_file() && elsewhere.exists());
    for name in ["locks", "leases", "used"] {
        std::os::unix::fs::symlink("/elsewhere", store.root().join(name).join("a".repeat(64))).unwrap();
        is_mended(&provisioner, "is not a regular file").await;
    }
    let log = bench.cache().join("provenance.jsonl");
    fs_err::remove_file(&log).unwrap();
    let harms: [&dyn Fn(); 2] =
        [&|| std::os::unix::fs::symlink("/dev/null", &log).unwrap(), &|| fs_err::create_dir(&log).unwrap()];
    for harm in harms {
        harm();
        assert!(provisioner.retire(&reference()).await.is_err(), "nothing is changed without a log");
        is_mended(&provisioner, "no line of provenance can be written").await;
        provisioner.retire(&reference()).await.unwrap();
        provisioner.activate(&reference()).await.unwrap();
        fs_err::remove_file(&log).unwrap();
    }
    assert!(root.exists());
}

#[tokio::test]
async fn a_cache_that_every_user_may_write_is_told_of() {
    let (bench, provisioner, root) = bench().await;
    let record = a_record(&bench.cache().join("catalog-v1"));
    let places =
        [bench.cache(), bench.cache().join("catalog-v1"), bench.cache().join("store-v1"), root.clone()];
    for place in places.into_iter().chain([record, root.join(".model.json")]) {
        let mode = fs_err::metadata(&place).unwrap().permissions().mode() & 0o777;
        fs_err::set_permissions(&place, PermissionsExt::from_mode(mode | 0o002)).unwrap();
        is_mended(&provisioner, "may be written by every user").await;
        assert_eq!(
            fs_err::metadata(&place).unwrap().permissions().mode() & 0o777,
            mode,
            "{}",
            place.display()
        );
    }
}

/// Returns the path of a record of a catalog.
fn a_record(catalog: &std::path::Path) -> PathBuf {
    let folders = fs_err::read_dir(catalog).unwrap().map(|entry| entry.unwrap().path());
    let mut files =
        folders.flat_map(|folder| fs_err::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|ending| ending == "json")).unwrap()
}

/// Removes all files of a model's view.
fn lose(root: &std::path::Path) {
    fs_err::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn a_view_that_is_gone_is_linked_again_from_what_the_store_has() {
    let (bench, provisioner, root) = bench().await;
    let files = ["a.gguf", "config.json"];
    let stamps =
        || files.map(|name| model_provisioner::Stamp::of(&fs_err::metadata(root.join(name)).unwrap()).inode);
    let before = stamps();
    bench.hub.reset_counts();
    lose(&root);
    is_mended(&provisioner, "is gone").await;
    assert_eq!(stamps(), before);
    lose(&root);
    let none = EvictionLimits { max_size_bytes: Some(0), grace: Duration::ZERO };
    let plan = provisioner.plan_eviction(&none).await.unwrap();
    assert!(plan.leftovers.is_empty() && plan.evicted.is_empty(), "its blobs are needed: {plan:?}");
    provisioner.evict(&plan).await.unwrap();
    let again = provisioner.ensure_present_str(ID, None).await.unwrap();
    assert!(again.cached && stamps() == before);
    assert_eq!(bench.hub.requests().len(), 0);
    // No record needs the blobs of a model that `doctor` has given up.
    lose(&root);
    provisioner.remove(&reference()).await.unwrap();
    assert_eq!(provisioner.plan_eviction(&none).await.unwrap().leftovers.len(), files.len());
}

#[tokio::test]
async fn what_a_retired_model_has_lost_is_left_alone() {
    let (_bench, provisioner, root) = bench().await;
    provisioner.retire(&reference()).await.unwrap();
    lose(&root);
    let found = provisioner.doctor(true).await.unwrap();
    assert!(found.len() == 1 && found[0].mended.is_none(), "{found:?}");
    assert!(!root.exists());
}

#[tokio::test]
async fn a_whole_model_without_a_record_gets_one() {
    let (bench, provisioner, root) = bench().await;
    for folder in fs_err::read_dir(bench.cache().join("catalog-v1")).unwrap() {
        for file in fs_err::read_dir(folder.unwrap().path()).unwrap() {
            fs_err::remove_file(file.unwrap().path()).unwrap();
        }
    }
    is_mended(&provisioner, "not in the catalog").await;
    assert_eq!(provisioner.locate(&reference()).await.unwrap().unwrap().local_path, root);
}

#[tokio::test]
async fn what_was_written_to_is_found_and_only_the_same_bytes_are_mended() {
    let (_bench, provisioner, root) = bench().await;
    let (file, text) = (root.join("config.json"), "changed since it was judged");
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&file, "{}").unwrap();
    is_mended(&provisioner, text).await;
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&file, "{1}").unwrap();
    let found = provisioner.doctor(true).await.unwrap();
    assert!(found.iter().any(|one| one.problem.contains(text) && one.mended.is_none()), "{found:?}");
    assert!(provisioner.doctor(false).await.unwrap().iter().any(|one| one.problem.contains(text)));
    provisioner.ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(root.join("config.json")).unwrap(), b"{}");
    assert_eq!(provisioner.doctor(false).await.unwrap(), []);
}

#[tokio::test]
async fn what_lives_is_not_mended() {
    let (bench, provisioner, root) = bench().await;
    let store = Store::new(bench.cache().join("store-v1"));
    let partial = store.partial("file", 10, "model", &store.resumable().unwrap()).unwrap();
    let lease = store.lease(&root, ID, Duration::ZERO).unwrap();
    assert_eq!(provisioner.doctor(true).await.unwrap(), []);
    fs_err::rename(root.join(".model.json"), root.join(".removed.json")).unwrap();
    assert_eq!(provisioner.doctor(true).await.unwrap().iter().filter(|one| one.mended.is_some()).count(), 0);
    assert!(root.exists() && partial.folder().exists());
    drop(lease);
}

#[tokio::test]
async fn the_overview_counts() {
    let (bench, provisioner, _) = bench().await;
    let file = bench.cache().with_extension("gguf");
    fs_err::write(&file, TINY_GGUF).unwrap();
    provisioner.ensure_present_str(file.to_str().unwrap(), None).await.unwrap();
    provisioner.retire(&reference()).await.unwrap();
    let overview = provisioner.overview().await.unwrap();
    assert_eq!((overview.active, overview.retired, overview.in_place, overview.damaged), (1, 1, 1, 0));
    assert!(overview.used_bytes > 10_000 && overview.free_bytes.is_some() && overview.lock_doubt.is_none());
    assert_eq!(overview.owner_and_mode.unwrap().0, rustix::process::geteuid().as_raw());
}

#[tokio::test]
async fn wrong_bytes_of_several_are_told_and_the_next_ensure_fetches_them() {
    let (bench, provisioner, root) = bench().await;
    let file = bench.cache().with_extension("gguf");
    fs_err::write(&file, TINY_GGUF).unwrap();
    let local: ModelRef = format!("local:{}", file.display()).parse().unwrap();
    provisioner.ensure_present(&local, None).await.unwrap();
    provisioner.verify(&local).await.unwrap();
    let references = [local.clone(), reference(), "hf:org/absent".parse().unwrap()];
    let passed = provisioner.verify_several(&references).await;
    assert!(passed[..2].iter().all(|report| report.as_ref().unwrap().outcome == Outcome::Pass));
    assert_eq!(passed[2].as_ref().unwrap_err().code().as_str(), "not-in-catalog");
    fs_err::set_permissions(root.join("a.gguf"), PermissionsExt::from_mode(0o644)).unwrap();
    for wrong in [&root.join("a.gguf"), &file] {
        let mut text = fs_err::read(wrong).unwrap();
        text[1] ^= 1;
        fs_err::write(wrong, text).unwrap();
    }
    let told = provisioner.verify_several(&references[..2]).await;
    let told: Vec<_> = told.into_iter().map(|report| report.unwrap()).collect();
    assert!(told.iter().all(|report| report.outcome == Outcome::Fail), "{told:?}");
    assert!(matches!(told[0].hint, Some(Hint::ReplaceFiles { .. })), "{told:?}");
    let fetches = Hint::Ensure { id: ID.to_owned(), effect: EnsureEffect::FetchesAgain };
    assert_eq!(told[1].hint.as_ref(), Some(&fetches));
    assert_eq!(fs_err::read(&file).unwrap().len(), 24, "what is yours is where it was");
    assert!(!root.exists(), "what was wrong is in the quarantine");
    let again = provisioner.ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(again.local_path.join("a.gguf")).unwrap(), bytes(10_000, 1));
}

#[tokio::test]
async fn wrong_bytes_are_believed_under_no_other_name() {
    let bench = Fixture::new();
    for name in ["org/one", "org/two"] {
        bench.hub.repo(name).lfs("a.gguf", bytes(10_000, 1)).publish();
    }
    let provisioner = bench.provisioner();
    let path = provisioner.ensure_present_str("hf:org/one/a.gguf", None).await.unwrap().local_path;
    let other = provisioner.ensure_present_str("hf:org/two/a.gguf", None).await.unwrap().local_path;
    let modified = fs_err::metadata(&path).unwrap().modified().unwrap();
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"!", 9_000).unwrap();
    file.set_modified(modified).unwrap();
    let found = provisioner.verify(&"hf:org/one/a.gguf".parse().unwrap()).await.unwrap();
    assert_eq!(found.outcome, Outcome::Fail);
    assert!(provisioner.locate(&"hf:org/two/a.gguf".parse().unwrap()).await.unwrap().is_none());
    provisioner.ensure_present_str("hf:org/two/a.gguf", None).await.unwrap();
    assert_eq!(fs_err::read(other).unwrap(), bytes(10_000, 1));
}

#[tokio::test]
async fn a_cache_is_the_same_by_whatever_name() {
    let (bench, provisioner, root) = bench().await;
    let (cache, link) = (bench.cache(), bench.path("by-link"));
    std::os::unix::fs::symlink(&cache, &link).unwrap();
    bench.hub.reset_counts();
    let by_link = builder_at(&link, &bench.hub.endpoint()).build().unwrap();
    let (present, lease) = by_link.ensure_leased(&reference(), &Expectation::none()).await.unwrap();
    assert!(present.cached && present.local_path.starts_with(&link), "{present:?}");
    // The store knows the process that uses the model by either name, and no process removes the model.
    assert_eq!(provisioner.holders(&reference()).await.unwrap().len(), 1);
    let everything = EvictionLimits { max_size_bytes: Some(0), grace: Duration::ZERO };
    for one in [&provisioner, &by_link] {
        let plan = one.plan_eviction(&everything).await.unwrap();
        assert!(plan.evicted.is_empty() && plan.kept.len() == 1, "{plan:?}");
        assert_eq!(one.remove(&reference()).await.unwrap_err().code().as_str(), "in-use");
    }
    drop(lease);
    // A cache at another path has the same models.
    let moved = bench.path("moved");
    fs_err::rename(&cache, &moved).unwrap();
    let moved = builder_at(&moved, &bench.hub.endpoint()).build().unwrap();
    let present = moved.locate(&reference()).await.unwrap().unwrap();
    assert!(present.local_path.starts_with(moved.cache_dir()) && !root.exists());
    assert_eq!(bench.hub.requests().len(), 0);
    moved.remove(&reference()).await.unwrap();
    assert!(!present.local_path.exists());
}
