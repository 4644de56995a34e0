//! A lock file and mirrors hold for a foreign source as for any other.

use model_provisioner::{
    Basis, Expectation, LockFile, LockState, LockedModel, ModelProvisioner, ModelRef, ProvisionerBuilder,
};
use testkit::gguf_of;

use crate::{
    custom_fetcher::MemoryFetcher,
    fixture::{FILE, Foreign, code, commit, file, publish},
    shelf::Shelf,
};

fn builder(foreign: &Foreign, cache: &str) -> ProvisionerBuilder {
    ModelProvisioner::builder(foreign.path(cache)).fetcher(foreign.source.clone())
}

async fn locked(foreign: &Foreign) -> LockedModel {
    builder(foreign, "locking").build().unwrap().lock(&file()).await.unwrap()
}

fn only(model: &LockedModel) -> LockFile {
    [model.clone()].into_iter().collect()
}

#[tokio::test]
async fn a_locked_model_stays_what_it_is_when_its_source_moves_on() {
    let foreign = Foreign::new();
    let old = foreign.publish(1);
    let locked = locked(&foreign).await;
    assert_eq!(locked.revision(), Some(commit(&old).as_str()));
    let held = builder(&foreign, "cache").locked(only(&locked)).build().unwrap();
    assert_eq!(held.check_lock(&locked).await.unwrap(), LockState::Current);
    let new = foreign.publish(2);
    let ready = held.ensure(&file(), &Expectation::none()).await.unwrap();
    assert!(fs_err::read(&ready.local_path).unwrap() == old);
    assert_eq!(ready.verification.basis, Some(Basis::Pinned));
    let moved = LockState::Moved { revision: Some(commit(&new)) };
    assert_eq!(held.check_lock(&locked).await.unwrap(), moved);
    let other: ModelRef = "mem:org/repo/other.gguf".parse().unwrap();
    assert_eq!(code(held.ensure(&other, &Expectation::none()).await), "not-locked");
}

#[tokio::test]
async fn a_mirror_is_another_fetcher_of_the_scheme() {
    let foreign = Foreign::new();
    let bytes = foreign.publish(1);
    let locked = locked(&foreign).await;
    let (liar, honest) = (MemoryFetcher::default(), MemoryFetcher::default());
    publish(&liar, FILE, &gguf_of(5000, 9));
    publish(&honest, FILE, &bytes);
    // The source itself has nothing any more.
    foreign.source.0.lock().unwrap().clear();
    let held = |cache| builder(&foreign, cache).locked(only(&locked)).mirror("liar", liar.clone());
    let alone = held("alone").build().unwrap().ensure(&file(), &Expectation::none()).await;
    assert_eq!(code(alone), "not-found");
    let ready = held("cache").mirror("honest", honest).build().unwrap();
    let ready = ready.ensure(&file(), &Expectation::none()).await.unwrap();
    assert!(fs_err::read(&ready.local_path).unwrap() == bytes);
    let log = fs_err::read_to_string(foreign.path("cache/provenance.jsonl")).unwrap();
    assert!(log.contains("\"mirror\":\"liar\"") && !log.contains("\"mirror\":\"honest\""), "{log}");
}

/// Returns a shelf with two files, whose listing has digests or not.
fn shelf(has_digests: bool) -> Shelf {
    let shelf = Shelf { has_digests, has_repositories: true, ..Shelf::default() };
    shelf.put("model.gguf", gguf_of(5000, 1));
    shelf.put("config.json", b"{}".to_vec());
    shelf
}

#[tokio::test]
async fn a_source_without_revisions_is_locked_by_its_bytes() {
    let id: ModelRef = "shelf:org/repo?include=*".parse().unwrap();
    for has_digests in [true, false] {
        let (foreign, shelf) = (Foreign::new(), shelf(has_digests));
        let locked = shelf.provisioner(&foreign, "locking").lock(&id).await.unwrap();
        assert_eq!((locked.revision(), locked.files().len()), (None, 2));
        let held = |cache: &str, shelf: &Shelf| {
            let builder = ModelProvisioner::builder(foreign.path(cache)).fetcher(shelf.clone());
            builder.locked(only(&locked)).build().unwrap()
        };
        let ready = held("cache", &shelf).ensure(&id, &Expectation::none()).await.unwrap();
        assert_eq!(ready.verification.basis, Some(Basis::Pinned), "{has_digests}");
        assert_eq!(held("cache", &shelf).check_lock(&locked).await.unwrap(), LockState::Current);
        shelf.put("config.json", b"[]".to_vec());
        assert!(held("cache", &shelf).ensure(&id, &Expectation::none()).await.unwrap().cached);
        assert_eq!(code(held("new", &shelf).ensure(&id, &Expectation::none()).await), "digest-mismatch");
        shelf.put("more.txt", b"x".to_vec());
        let moved = LockState::Moved { revision: None };
        assert_eq!(held("cache", &shelf).check_lock(&locked).await.unwrap(), moved);
        // Of what its source lists beside the locked files, nothing comes.
        shelf.put("config.json", b"{}".to_vec());
        let ready = held("more", &shelf).ensure(&id, &Expectation::none()).await.unwrap();
        assert_eq!(ready.files.len(), 2);
    }
}

#[tokio::test]
async fn a_large_file_without_a_digest_is_locked_once_it_is_here() {
    let (foreign, shelf) = (Foreign::new(), shelf(false));
    shelf.put("model.gguf", gguf_of(33 << 20, 1));
    let provisioner = shelf.provisioner(&foreign, "cache");
    let id: ModelRef = "shelf:org/repo?include=*".parse().unwrap();
    let error = provisioner.lock(&id).await.unwrap_err();
    assert_eq!(error.code().as_str(), "unproven");
    assert!(error.hint().unwrap().to_string().contains("computes its digests; then it can be locked"));
    provisioner.ensure(&id, &Expectation::none()).await.unwrap();
    shelf.take_opened();
    assert_eq!(provisioner.lock(&id).await.unwrap().files().len(), 2);
    assert_eq!(shelf.take_opened(), 0, "the record has the digests");
}
