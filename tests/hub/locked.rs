//! A provisioner that is held to a lock file takes what is locked, and nothing else.

use model_provisioner::{
    AdoptMode, Basis, EnsurePlan, Expectation, FileState, Format, HubFetcher, HubSettings, Lifecycle,
    LockFile, LockedModel, ModelProvisioner, ModelRef, Network, Policy, ProvisionerBuilder,
};
use serde_json::json;
use testkit::{
    HubCache,
    hub::{Fault, FaultKind, Origin},
};

use crate::fixture::{Fixture, builder_at, bytes, code, content_sent};

pub(crate) const ID: &str = "hf:org/repo?include=*";

/// Publishes two files, with other bytes for each seed, and returns the commit.
pub(crate) fn publish(hub: &testkit::Hub, seed: usize) -> String {
    let repo = hub.repo("org/repo").lfs("a.gguf", bytes(2 << 20, seed));
    repo.file("config.json", format!("{{\"seed\": {seed}}}")).publish().to_string()
}

/// Returns the lock of what the hub has now.
pub(crate) async fn lock(bench: &Fixture) -> LockFile {
    let elsewhere = builder_at(&bench.path("locking"), &bench.hub.endpoint()).build().unwrap();
    [elsewhere.lock(&reference()).await.unwrap()].into_iter().collect()
}

pub(crate) fn reference() -> ModelRef {
    ID.parse().unwrap()
}

/// Returns a provisioner that is held to a lock file, and whose hub is gone.
fn without_hub(bench: &Fixture, lock: &LockFile) -> ModelProvisioner {
    builder_at(&bench.cache(), "http://127.0.0.1:1").locked(lock.clone()).build().unwrap()
}

fn held(bench: &Fixture, lock: &LockFile) -> ModelProvisioner {
    bench.builder().locked(lock.clone()).build().unwrap()
}

#[tokio::test]
async fn a_locked_model_is_what_was_locked_although_the_hub_moved_on() {
    let bench = Fixture::new();
    let commit = publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    publish(&bench.hub, 2);
    bench.hub.reset_counts();
    let model = held(&bench, &lock).ensure(&reference(), &Expectation::none()).await.unwrap();
    assert_eq!(fs_err::read(model.local_path.join("a.gguf")).unwrap(), bytes(2 << 20, 1));
    assert_eq!(model.revision.as_deref(), Some(commit.as_str()));
    assert_eq!(model.verification.basis, Some(Basis::Pinned));
    let is_question = |path: &str| path.ends_with("/revision/main");
    assert_eq!(bench.hub.count(|seen| is_question(&seen.path)), 0, "no source is asked for a revision");
    // It satisfies a strict call, with the hub gone.
    let strict = Expectation::none().strict(true);
    let again = without_hub(&bench, &lock).ensure(&reference(), &strict).await.unwrap();
    assert!(again.cached);
}

#[tokio::test]
async fn a_model_that_is_present_becomes_pinned_without_a_byte() {
    let bench = Fixture::new();
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    bench.provisioner().ensure(&reference(), &Expectation::none()).await.unwrap();
    let model = without_hub(&bench, &lock).ensure(&reference(), &Expectation::none()).await.unwrap();
    assert_eq!((model.cached, model.verification.basis), (true, Some(Basis::Pinned)));
}

#[tokio::test]
async fn a_record_of_another_revision_moves_to_the_locked_one() {
    let bench = Fixture::new();
    let commit = publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let moved = publish(&bench.hub, 2);
    let before = bench.provisioner().ensure(&reference(), &Expectation::none()).await.unwrap();
    let model = held(&bench, &lock).ensure(&reference(), &Expectation::none()).await.unwrap();
    assert_eq!(model.revision.as_deref(), Some(commit.as_str()));
    assert_eq!(
        fs_err::read(before.local_path.join("a.gguf")).unwrap(),
        bytes(2 << 20, 2),
        "an engine may use it"
    );
    let superseded: ModelRef = format!("hf:org/repo@{moved}?include=*").parse().unwrap();
    let record = bench.provisioner().show(&superseded).await.unwrap().record;
    assert_eq!((record.lifecycle, record.revision), (Lifecycle::Retired, Some(moved)));
    // A refresh of a provisioner that is held to the lock file follows no branch.
    let again = held(&bench, &lock).refresh(&reference(), &Expectation::none()).await.unwrap();
    assert_eq!(again.revision.as_deref(), Some(commit.as_str()));
}

#[tokio::test]
async fn a_full_lock_is_planned_without_a_socket() {
    let bench = Fixture::new();
    let commit = publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let connections = bench.hub.connections().len();
    let states = |plan: &EnsurePlan| plan.files.iter().map(|file| file.state).collect::<Vec<_>>();
    let plan = held(&bench, &lock).plan(&reference()).await.unwrap();
    assert_eq!(plan.revision.as_deref(), Some(commit.as_str()));
    assert_eq!(states(&plan), [FileState::Fetch, FileState::Fetch]);
    assert_eq!(plan.download_bytes(), lock.get(ID).unwrap().size_bytes());
    assert_eq!(bench.hub.connections().len(), connections);
    held(&bench, &lock).ensure(&reference(), &Expectation::none()).await.unwrap();
    let plan = without_hub(&bench, &lock).plan(&reference()).await.unwrap();
    assert_eq!(states(&plan), [FileState::Present, FileState::Present]);
    // What another revision left is no part of the plan.
    publish(&bench.hub, 2);
    bench.provisioner().refresh(&reference(), &Expectation::none()).await.unwrap();
    let plan = without_hub(&bench, &lock).plan(&reference()).await.unwrap();
    assert_eq!(plan.revision.as_deref(), Some(commit.as_str()));
}

#[tokio::test]
async fn what_is_not_locked_is_refused_also_where_it_is_present() {
    let bench = Fixture::new();
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let other: ModelRef = "hf:org/repo/a.gguf".parse().unwrap();
    bench.provisioner().ensure(&other, &Expectation::none()).await.unwrap();
    bench.hub.reset_counts();
    let held = held(&bench, &lock);
    let error = held.ensure(&other, &Expectation::none()).await.unwrap_err();
    assert_eq!(error.to_string(), "`hf:org/repo/a.gguf` is not in the lock file");
    assert!(error.hint().unwrap().to_string().contains("locking `hf:org/repo/a.gguf` adds it"));
    assert_eq!(error.code().as_str(), "not-locked");
    assert_eq!(code(held.plan(&other).await), "not-locked");
    assert!(bench.hub.requests().is_empty());
}

#[tokio::test]
async fn a_lock_file_that_names_a_branch_for_a_revision_is_refused() {
    let bench = Fixture::new();
    publish(&bench.hub, 1);
    let found = lock(&bench).await.get(ID).unwrap().files().to_vec();
    let branch = LockedModel::new(reference(), Some("main".to_owned()), found).unwrap();
    bench.hub.reset_counts();
    let held = held(&bench, &[branch].into_iter().collect());
    assert_eq!(code(held.ensure(&reference(), &Expectation::none()).await), "invalid-lock");
    assert_eq!(code(held.plan(&reference()).await), "invalid-lock");
    assert!(bench.hub.requests().is_empty());
}

#[tokio::test]
async fn other_bytes_than_the_locked_ones_are_refused_before_anything_is_visible() {
    let flip = || Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(9));
    let small = || Fault::on("config.json").kind(FaultKind::Replace("{\"seed\": 9}".into()));
    let listed = |patch| Fault::on("/api/").kind(FaultKind::Listed("a.gguf".to_owned(), patch));
    let other = json!({ "lfs": { "oid": "0".repeat(64), "size": 2 << 20 } });
    let size = json!({ "size": 7, "lfs": { "oid": "0".repeat(64), "size": 7 } });
    let gone = json!({ "path": "b.gguf" });
    for fault in [flip(), small(), listed(other), listed(size), listed(gone)] {
        let bench = Fixture::new();
        publish(&bench.hub, 1);
        let lock = lock(&bench).await;
        let told = format!("{fault:?}");
        bench.hub.fault(fault);
        let error = held(&bench, &lock).ensure(&reference(), &Expectation::none()).await.unwrap_err();
        assert_eq!(error.code().as_str(), "digest-mismatch", "{told}: {error}");
        assert!(!bench.cache().join("store-v1/models").exists(), "{told}");
        assert!(held(&bench, &lock).list().await.unwrap().models.is_empty(), "{told}");
    }
}

#[tokio::test]
async fn what_is_locked_comes_whatever_the_rules_would_choose_now() {
    let bench = Fixture::new();
    bench
        .hub
        .repo("org/chosen")
        .lfs("model.safetensors", testkit::safetensors("w"))
        .file("README.md", "read")
        .publish();
    let id: ModelRef = "hf:org/chosen".parse().unwrap();
    let all: ModelRef = "hf:org/chosen?include=*".parse().unwrap();
    // The rules leave this document out; an earlier release may have taken it.
    let found = bench.provisioner().lock(&all).await.unwrap();
    let revision = found.revision().map(str::to_owned);
    let older = LockedModel::new(id.clone(), revision, found.files().to_vec()).unwrap();
    let lock: LockFile = [older].into_iter().collect();
    let model = held(&bench, &lock).ensure(&id, &Expectation::none()).await.unwrap();
    let names: Vec<_> = model.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["README.md", "model.safetensors"]);
}

#[tokio::test]
async fn locked_code_is_denied_by_the_policy_and_code_that_is_not_locked_stays_out() {
    let bench = Fixture::new();
    let config = r#"{"model_type": "x", "auto_map": {"AutoModel": "modeling_x.X"}}"#;
    let repo = bench.hub.repo("org/code").lfs("model.safetensors", testkit::safetensors("w"));
    repo.file("config.json", config).file("modeling_x.py", "class X: pass").publish();
    let id: ModelRef = "hf:org/code".parse().unwrap();
    let python = [Format::Python, Format::Safetensors, Format::Other];
    let allows = Policy { network: Network::Allow, formats: Some(python.to_vec()), ..Policy::default() };
    let allowing = || {
        let hub = HubFetcher::new(HubSettings::new(Some(&bench.hub.endpoint())).unwrap());
        ModelProvisioner::builder(bench.cache()).fetcher(hub).policy(allows.clone())
    };
    let lock = async |builder: ProvisionerBuilder| -> LockFile {
        [builder.build().unwrap().lock(&id).await.unwrap()].into_iter().collect()
    };
    let (with, without) = (lock(allowing()).await, lock(bench.builder()).await);
    assert_eq!(
        (with.get("hf:org/code").unwrap().files().len(), without.get("hf:org/code").unwrap().files().len()),
        (3, 2)
    );
    let refused = held(&bench, &with).ensure(&id, &Expectation::none()).await;
    assert_eq!(code(refused), "refused-format");
    let held = allowing().locked(without).build().unwrap();
    let model = held.ensure(&id, &Expectation::none()).await.unwrap();
    assert!(!model.local_path.join("modeling_x.py").exists());
    assert_eq!(model.verification.basis, Some(Basis::Pinned));
}

#[tokio::test]
async fn a_digest_of_the_caller_and_the_lock_file_must_agree() {
    let bench = Fixture::new();
    publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let tree = lock.get(ID).unwrap().tree().clone();
    let other = format!("sha256-tree:{}", "0".repeat(64)).parse().unwrap();
    let held = held(&bench, &lock);
    bench.hub.reset_counts();
    assert_eq!(code(held.ensure(&reference(), &Expectation::pinned(other)).await), "digest-mismatch");
    assert!(bench.hub.requests().is_empty());
    held.ensure(&reference(), &Expectation::pinned(tree)).await.unwrap();
}

#[tokio::test]
async fn a_digest_of_the_callers_that_says_nothing_of_the_projector_does_not_loosen_the_lock_file() {
    let bench = Fixture::new();
    let publish = |eyes: &str| {
        let repo = bench.hub.repo("org/eyes").lfs("a-Q4_0.gguf", testkit::gguf("four"));
        repo.lfs("mmproj-a.gguf", testkit::gguf(eyes)).publish();
    };
    let id: ModelRef = "hf:org/eyes:Q4_0".parse().unwrap();
    publish("old");
    let lock: LockFile = [bench.provisioner().lock(&id).await.unwrap()].into_iter().collect();
    publish("new");
    let other = bench.provisioner().ensure(&id, &Expectation::none()).await.unwrap();
    let pinned = Expectation::pinned(other.digest.clone().unwrap());
    bench.provisioner().ensure(&id, &pinned).await.unwrap();
    let model = held(&bench, &lock).ensure(&id, &pinned).await.unwrap();
    assert_eq!(model.digest, other.digest);
    assert_eq!(fs_err::read(model.mmproj.unwrap()).unwrap(), testkit::gguf("old"));
}

#[tokio::test]
async fn a_cache_of_the_hubs_own_tools_serves_a_locked_model_without_a_network() {
    let bench = Fixture::new();
    let commit = publish(&bench.hub, 1);
    let lock = lock(&bench).await;
    let cache = HubCache::new(&bench.path("foreign/hub"), "org/repo", &commit).branch("main");
    cache.lfs("a.gguf", bytes(2 << 20, 1)).file("config.json", "{\"seed\": 1}").write_tree();
    let caches =
        HubSettings::new(Some("http://127.0.0.1:1")).unwrap().caches(vec![bench.path("foreign/hub")]);
    let builder = builder_at(&bench.cache(), "http://127.0.0.1:1").fetcher(HubFetcher::new(caches));
    let held = builder.adopt(bench.adoption(AdoptMode::Link)).locked(lock).build().unwrap();
    let model = held.ensure(&reference(), &Expectation::none()).await.unwrap();
    assert_eq!(model.verification.basis, Some(Basis::Pinned));
    assert_eq!(content_sent(&bench), fs_err::metadata(model.local_path.join("config.json")).unwrap().len());
}
