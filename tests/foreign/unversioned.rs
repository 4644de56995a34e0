//! A refresh from a source that names no revisions.

use model_provisioner::{EvictionLimits, Expectation, ModelRef};
use testkit::gguf_of;

use crate::{
    fixture::{Foreign, code},
    shelf::Shelf,
};

fn file() -> ModelRef {
    "shelf:org/repo/a.gguf".parse().unwrap()
}

#[tokio::test]
async fn a_refresh_sees_that_the_listing_changed() {
    let foreign = Foreign::new();
    let shelf = Shelf { has_digests: true, ..Shelf::default() };
    shelf.put("a.gguf", gguf_of(5000, 1));
    let provisioner = shelf.provisioner(&foreign, "cache");
    let before = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    shelf.take_opened();
    // Nothing changed, so nothing is fetched.
    let same = provisioner.refresh(&file(), &Expectation::none()).await.unwrap();
    assert_eq!((same.cached, same.digest.as_ref(), shelf.take_opened()), (true, before.digest.as_ref(), 0));
    // A digest changed, and then a size.
    for bytes in [gguf_of(5000, 2), gguf_of(6000, 2)] {
        shelf.put("a.gguf", bytes.clone());
        let ensured = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
        assert!(fs_err::read(&ensured.local_path).unwrap() != bytes, "a model that is here stays as it is");
        let moved = provisioner.refresh(&file(), &Expectation::none()).await.unwrap();
        assert!(fs_err::read(&moved.local_path).unwrap() == bytes);
        assert_eq!((moved.cached, moved.revision.as_ref()), (false, None));
        assert!(provisioner.exists(&file()).await.unwrap());
    }
    assert_eq!(provisioner.list().await.unwrap().models.len(), 1, "no id names what has no revision");
    // What they replaced is the next collection's.
    let plan = provisioner.plan_eviction(&EvictionLimits::default()).await.unwrap();
    provisioner.evict(&plan).await.unwrap();
    assert_eq!(provisioner.doctor(false).await.unwrap(), []);
    assert!(provisioner.exists(&file()).await.unwrap());
}

#[tokio::test]
async fn a_refresh_sees_a_file_that_came_or_went() {
    let foreign = Foreign::new();
    let shelf = Shelf { has_digests: true, has_repositories: true, ..Shelf::default() };
    shelf.put("a.gguf", gguf_of(5000, 1));
    let provisioner = shelf.provisioner(&foreign, "cache");
    let all: ModelRef = "shelf:org/repo?include=*.gguf".parse().unwrap();
    provisioner.ensure(&all, &Expectation::none()).await.unwrap();
    shelf.put("b.gguf", gguf_of(5000, 2));
    let moved = provisioner.refresh(&all, &Expectation::none()).await.unwrap();
    assert_eq!(moved.files.len(), 2);
    assert!(provisioner.refresh(&all, &Expectation::none()).await.unwrap().cached);
}

#[tokio::test]
async fn without_digests_a_refresh_fetches_again() {
    let (foreign, shelf) = (Foreign::new(), Shelf::default());
    shelf.put("a.gguf", gguf_of(5000, 1));
    let provisioner = shelf.provisioner(&foreign, "cache");
    let before = provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    shelf.take_opened();
    provisioner.ensure(&file(), &Expectation::none()).await.unwrap();
    assert_eq!(shelf.take_opened(), 0);
    // The bytes are the same: the model stays in its place, beside the engine that uses it.
    let lease = provisioner.lease(&before).await.unwrap();
    let same = provisioner.refresh(&file(), &Expectation::none()).await.unwrap();
    assert!(shelf.take_opened() > 0 && same.local_path == before.local_path && same.digest == before.digest);
    // They differ, and there is one place for both: no file changes under the engine.
    shelf.put("a.gguf", gguf_of(5000, 2));
    assert_eq!(code(provisioner.refresh(&file(), &Expectation::none()).await), "in-use");
    assert!(fs_err::read(&before.local_path).unwrap() == gguf_of(5000, 1));
    assert!(provisioner.exists(&file()).await.unwrap());
    drop(lease);
    let moved = provisioner.refresh(&file(), &Expectation::none()).await.unwrap();
    assert!(fs_err::read(&moved.local_path).unwrap() == gguf_of(5000, 2));
}
