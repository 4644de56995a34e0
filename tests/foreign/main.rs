//! A source that this repository does not know, through the whole facade: it ranks with those that come along.
//!
//! The source is that of `examples/custom_fetcher.rs`, as it stands there.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[expect(dead_code, unreachable_pub, reason = "an example has a `main`")]
#[path = "../../examples/custom_fetcher.rs"]
mod custom_fetcher;
mod fixture;
mod hosts;
mod locked;
mod policy;
mod repositories;
mod revisions;
mod shelf;
mod unversioned;

use std::path::Path;

use custom_fetcher::MemoryFetcher;
use fixture::{FILE, Foreign, commit, file};
use model_provisioner::{
    Basis, ErrorCode, Expectation, FileState, ImportRequest, Lifecycle, ModelProvisioner, ModelRef, Policy,
    conformance,
};
use testkit::gguf_of;

#[tokio::test]
async fn it_keeps_the_contract() {
    let source = MemoryFetcher::default();
    for bytes in [vec![7], gguf_of(5000, 1)] {
        fixture::publish(&source, FILE, &bytes);
        conformance::fetcher(&source, &file(), &"mem:org/absent/a.gguf".parse().unwrap()).await;
    }
}

#[tokio::test]
async fn a_model_is_ensured_once_and_verified() {
    let foreign = Foreign::new();
    let bytes = foreign.publish(1);
    let provisioner = foreign.provisioner();
    let ready = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    assert_eq!(ready.id, FILE);
    assert!(fs_err::read(&ready.local_path).unwrap() == bytes);
    assert_eq!(ready.local_path.file_name().unwrap(), "tiny.gguf");
    let record = provisioner.show(&file()).await.unwrap().record;
    assert_eq!(record.verification.basis, Some(Basis::Source));
    assert_eq!(record.revision, Some(commit(&bytes)));
    // A present model needs no source.
    let without = ModelProvisioner::file_only(foreign.cache()).unwrap();
    assert_eq!(without.ensure(&file(), &Expectation::none()).await.unwrap().local_path, ready.local_path);
    assert!(without.exists(&file()).await.unwrap());
    assert!(provisioner.doctor(false).await.unwrap().is_empty());
    let absent: ModelRef = "mem:org/absent/a.gguf".parse().unwrap();
    assert_eq!(
        provisioner.ensure(&absent, &Expectation::none()).await.unwrap_err().code(),
        ErrorCode::NotFound
    );
}

#[tokio::test]
async fn a_model_is_planned() {
    let foreign = Foreign::new();
    let bytes = foreign.publish(1);
    let provisioner = foreign.provisioner();
    let plan = provisioner.plan(&file()).await.unwrap();
    assert_eq!((plan.files[0].state, plan.download_bytes()), (FileState::Fetch, bytes.len() as u64));
    assert_eq!(plan.revision, Some(commit(&bytes)));
    provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    let plan = provisioner.plan(&file()).await.unwrap();
    assert_eq!((plan.files[0].state, plan.download_bytes()), (FileState::Present, 0));
}

#[tokio::test]
async fn a_refresh_follows_its_source_and_keeps_what_it_leaves() {
    let foreign = Foreign::new();
    let old = foreign.publish(1);
    let provisioner = foreign.provisioner();
    let before = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    let new = foreign.publish(2);
    assert_eq!(
        provisioner.ensure(&file(), &Expectation::none()).await.unwrap().local_path,
        before.local_path
    );
    let after = provisioner.refresh(&file(), &Expectation::none()).await.unwrap();
    assert!(fs_err::read(&after.local_path).unwrap() == new);
    assert!(fs_err::read(&before.local_path).unwrap() == old, "an engine may still read it");
    let pinned: ModelRef = format!("mem:org/repo@{}/tiny.gguf", commit(&old)).parse().unwrap();
    let superseded = provisioner.show(&pinned).await.unwrap().record;
    assert_eq!((superseded.lifecycle, superseded.revision), (Lifecycle::Retired, Some(commit(&old))));
    // With nothing new at its source, a refresh changes nothing.
    assert_eq!(
        provisioner.refresh(&file(), &Expectation::none()).await.unwrap().local_path,
        after.local_path
    );
}

#[tokio::test]
async fn a_changed_model_is_fetched_again_at_its_revision() {
    let foreign = Foreign::new();
    let old = foreign.publish(1);
    let provisioner = foreign.provisioner();
    let ready = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    foreign.publish(2);
    fs_err::remove_file(&ready.local_path).unwrap();
    fs_err::write(&ready.local_path, "another program wrote here").unwrap();
    let again = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    assert!(fs_err::read(&again.local_path).unwrap() == old);
}

#[tokio::test]
async fn a_model_is_carried_to_another_machine() {
    let foreign = Foreign::new();
    let bytes = foreign.publish(1);
    let provisioner = foreign.provisioner();
    provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    let folder = foreign.path("exported");
    provisioner.export(&file(), &folder).await.unwrap();

    // The other machine has neither the source nor a network.
    let there = ModelProvisioner::file_only(foreign.path("another-cache")).unwrap();
    let imported = there.import(&ImportRequest::new(&folder)).await.unwrap();
    assert_eq!(imported.id, FILE);
    assert!(fs_err::read(&imported.local_path).unwrap() == bytes);
    let record = there.show(&file()).await.unwrap().record;
    assert_eq!((record.revision, record.verification.basis), (Some(commit(&bytes)), Some(Basis::Source)));
    assert_eq!(there.ensure(&file(), &Expectation::none()).await.unwrap().local_path, imported.local_path);

    // A file of another tool goes under an id of that scheme too.
    let mut request = ImportRequest::new(foreign.file("plain.gguf", &gguf_of(5000, 3)));
    request.id = Some("mem:org/plain/plain.gguf".parse().unwrap());
    assert_eq!(there.import(&request).await.unwrap().id, "mem:org/plain/plain.gguf");
}

#[tokio::test]
async fn a_model_is_removed_with_its_files() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let provisioner = foreign.provisioner();
    let ready = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    assert!(provisioner.purge(&file()).await.unwrap().record.is_some());
    assert!(!ready.local_path.exists() && !provisioner.exists(&file()).await.unwrap());
    assert_eq!(provisioner.show(&file()).await.unwrap_err().code(), ErrorCode::NotInCatalog);
    assert!(left(&foreign.cache().join("store-v1")).is_empty(), "no blob and no view stays");
    provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
}

/// Lists the models' files below a folder of the store.
fn left(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { left(&path) } else { vec![path] });
    files.filter(|path| path.metadata().unwrap().len() > 4000).collect()
}

/// Ensures the model under a policy, and returns the code of the refusal.
async fn under(foreign: &Foreign, policy: Policy) -> Option<ErrorCode> {
    let provisioner = ModelProvisioner::builder(foreign.cache()).fetcher(foreign.source.clone());
    let provisioner = provisioner.policy(policy).build().unwrap();
    provisioner.ensure(&file(), &Expectation::none()).await.err().map(|error| error.code())
}

#[tokio::test]
async fn the_policy_binds_its_scheme() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let schemes = |scheme: &str| Policy { schemes: Some(vec![scheme.to_owned()]), ..Policy::default() };
    assert_eq!(under(&foreign, schemes("hf")).await, Some(ErrorCode::PolicyDenied));
    assert_eq!(under(&foreign, schemes("mem")).await, None);
    assert_eq!(under(&foreign, schemes("hf")).await, Some(ErrorCode::PolicyDenied), "a present model too");
}

#[tokio::test]
async fn the_policy_binds_its_repositories() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let repos = |repo: &str| Policy { repos: Some(vec![repo.to_owned()]), ..Policy::default() };
    // A pattern without a scheme is of the Hub.
    let hub = ["org/repo", "org/*", "hf:org/repo"];
    let others = ["mem:other/repo", "mem:other/*", "mem:org/re", "mem:org/repo/tiny.gguf"];
    for denied in hub.into_iter().chain(others) {
        assert_eq!(under(&foreign, repos(denied)).await, Some(ErrorCode::PolicyDenied), "{denied}");
    }
    for allowed in ["mem:org/repo", "mem:org/*"] {
        assert_eq!(under(&foreign, repos(allowed)).await, None, "{allowed}");
    }
}

#[tokio::test]
async fn a_handoff_and_a_lease_are_as_for_any_model() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let provisioner = foreign.provisioner();
    let ready = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    let handoff = provisioner.hand_off(&ready, &foreign.path("handoff.json")).await.unwrap();
    assert!(fs_err::read_to_string(handoff).unwrap().contains(FILE));
    let lease = provisioner.lease(&ready).await.unwrap();
    let error = provisioner.remove(&file()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InUse);
    drop(lease);
    provisioner.remove(&file()).await.unwrap();
}
