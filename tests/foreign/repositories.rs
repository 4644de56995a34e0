//! A foreign source that has repositories: what a repository may mean, and how its references are read.

use model_provisioner::{
    Expectation, FileState, ImportRequest, MemoryRequest, ModelProvisioner, ModelRef, Policy, conformance,
};
use testkit::{FakeModel, gguf, gguf_of};

use crate::{
    fixture::{Foreign, code},
    shelf::Shelf,
};

const WHOLE: &str = "shelf:org/repo";

fn id(text: &str) -> ModelRef {
    text.parse().unwrap()
}

/// A repository with two models, and one whose header is cut off.
fn stocked() -> Shelf {
    let shelf = Shelf { has_repositories: true, has_digests: true, ..Shelf::default() };
    shelf.put("tiny-F16.gguf", FakeModel::gguf().to_bytes());
    shelf.put("sub/other-Q8_0.gguf", gguf(vec![7; 300_000]));
    shelf.put("bad-Q2_K.gguf", b"GGUF".to_vec());
    shelf
}

#[tokio::test]
async fn it_keeps_the_contract() {
    for has_digests in [false, true] {
        let shelf = Shelf { has_digests, ..stocked() };
        conformance::fetcher(&shelf, &id("shelf:org/repo/tiny-F16.gguf"), &id("shelf:org/repo:IQ1_S")).await;
    }
}

#[tokio::test]
async fn its_models_are_told_apart_by_what_fits() {
    let (foreign, shelf) = (Foreign::new(), stocked());
    let provisioner = shelf.provisioner(&foreign, "cache");
    let demand = MemoryRequest { ctx: Some(256), vram_bytes: Some(1 << 30), ..MemoryRequest::default() };
    let found = provisioner.variants(&id(WHOLE), &demand).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|model| (model.id.as_str(), model.fit.fits, model.problem.is_some())).collect();
    let expected = [
        ("shelf:org/repo/bad-Q2_K.gguf", None, true),
        ("shelf:org/repo/tiny-F16.gguf", Some(true), false),
        // What its keys and values need is not known.
        ("shelf:org/repo/sub/other-Q8_0.gguf", None, false),
    ];
    assert_eq!(told, expected);
    let choice = provisioner.choose(&id(WHOLE), &demand).await.unwrap();
    assert_eq!((choice.reference.id().as_str(), choice.fitting), ("shelf:org/repo:F16", 1));
    let little = MemoryRequest { vram_bytes: Some(200_000), ..demand };
    assert_eq!(code(provisioner.choose(&id(WHOLE), &little).await), "nothing-fits");
    // One of them is meant alone, in the letter case that a person chose.
    let one = provisioner.variants(&id("shelf:org/repo:f16"), &demand).await.unwrap();
    assert_eq!((one.len(), one[0].id.as_str()), (1, "shelf:org/repo:F16"));
    // A source that says nothing of repositories is not asked for patterns.
    let plain = Shelf { has_repositories: false, ..shelf };
    let refused = plain.provisioner(&foreign, "other").variants(&id(WHOLE), &demand).await;
    assert_eq!(code(refused), "ambiguous-reference");
}

#[tokio::test]
async fn one_of_its_models_is_planned_and_looked_into() {
    let (foreign, shelf) = (Foreign::new(), stocked());
    let provisioner = shelf.provisioner(&foreign, "cache");
    for call in [provisioner.plan(&id(WHOLE)).await.err(), provisioner.inspect(&id(WHOLE)).await.err()] {
        assert_eq!(call.unwrap().code().as_str(), "ambiguous-reference");
    }
    let plan = provisioner.plan(&id("shelf:org/repo:q8_0")).await.unwrap();
    assert_eq!((plan.id.as_str(), plan.revision), ("shelf:org/repo:Q8_0", None));
    assert_eq!((plan.files[0].path.as_str(), plan.files[0].state), ("sub/other-Q8_0.gguf", FileState::Fetch));
    let found = provisioner.inspect(&id("shelf:org/repo:f16")).await.unwrap();
    assert_eq!(found.details.facts.ctx_max, Some(256));
    assert!(provisioner.list().await.unwrap().models.is_empty());
    let all = provisioner.plan(&id("shelf:org/repo?include=*.gguf")).await.unwrap();
    assert_eq!(all.files.len(), 3);
}

#[tokio::test]
async fn a_reference_has_one_id_however_it_is_written() {
    let (foreign, shelf) = (Foreign::new(), stocked());
    let provisioner = shelf.provisioner(&foreign, "cache");
    let written = id("shelf:org/repo:f16");
    assert!(written.repository().is_none(), "no one but its fetcher knows how the text is read");
    let ready = provisioner.ensure(&written, &Expectation::none()).await.unwrap();
    assert_eq!(ready.id, "shelf:org/repo:F16");
    assert!(ready.local_path.starts_with(foreign.path("cache/store-v1/models/shelf/org/repo/none")));
    shelf.take_opened();
    let again = provisioner.ensure(&id("shelf:org/repo:F16"), &Expectation::none()).await.unwrap();
    assert_eq!((again.local_path, shelf.take_opened()), (ready.local_path, 0));
    for text in ["shelf:org/repo:f16", "shelf://org/repo:f16"] {
        let written = id(text);
        assert!(provisioner.exists(&written).await.unwrap(), "{text}");
        assert_eq!(provisioner.show(&written).await.unwrap().record.id, "shelf:org/repo:F16");
        provisioner.refresh(&written, &Expectation::none()).await.unwrap();
        provisioner.verify(&written).await.unwrap();
    }
    provisioner.retire(&written).await.unwrap();
    provisioner.activate(&written).await.unwrap();
    provisioner.export(&written, &foreign.path("exported")).await.unwrap();
    assert_eq!(provisioner.list().await.unwrap().models.len(), 1);
    provisioner.remove(&written).await.unwrap();
    let wrong = provisioner.ensure(&id("shelf:a b/c"), &Expectation::none()).await;
    assert_eq!(code(wrong), "invalid-reference");
    // Under such an id a file is imported too, and the policy sees the repository.
    let mut request = ImportRequest::new(foreign.file("plain.gguf", &gguf_of(5000, 3)));
    request.id = Some(written.clone());
    assert_eq!(provisioner.import(&request).await.unwrap().id, "shelf:org/repo:F16");
    let repos = Some(vec!["shelf:org/repo".to_owned()]);
    let builder = ModelProvisioner::builder(foreign.path("cache")).fetcher(shelf);
    let bound = builder.policy(Policy { repos, ..Policy::default() }).build().unwrap();
    bound.ensure(&written, &Expectation::none()).await.unwrap();
}

#[tokio::test]
async fn a_folder_of_it_is_what_an_engine_loads() {
    let (foreign, shelf) = (Foreign::new(), stocked());
    shelf.put("cuda/fp16/tiny.gguf", FakeModel::gguf().to_bytes());
    shelf.put("cuda/fp16/config.json", b"{}".to_vec());
    let provisioner = shelf.provisioner(&foreign, "cache");
    let folder = id("shelf:org/repo/cuda/fp16");
    let found = provisioner.inspect(&folder).await.unwrap();
    assert_eq!(found.details.facts.ctx_max, Some(256));
    let ready = provisioner.ensure(&folder, &Expectation::none()).await.unwrap();
    assert!(ready.local_path.ends_with("cuda/fp16") && ready.local_path.join("tiny.gguf").is_file());
    let record = provisioner.show(&folder).await.unwrap().record;
    let paths: Vec<_> = record.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["cuda/fp16/config.json", "cuda/fp16/tiny.gguf"]);
    assert_eq!(record.facts.as_ref().and_then(|facts| facts.ctx_max), Some(256));
    // It is present, and stays so where the files are read again and where the view is put together again.
    shelf.take_opened();
    let again = provisioner.ensure(&folder, &Expectation::none()).await.unwrap();
    assert_eq!((&again.local_path, again.cached), (&ready.local_path, true));
    provisioner.verify(&folder).await.unwrap();
    provisioner.refresh(&folder, &Expectation::none()).await.unwrap();
    fs_err::remove_file(ready.local_path.join("tiny.gguf")).unwrap();
    let whole = provisioner.ensure(&folder, &Expectation::none()).await.unwrap();
    assert_eq!((&whole.local_path, shelf.take_opened()), (&ready.local_path, 0));
    let handoff = provisioner.hand_off(&whole, &foreign.path("handoff.json")).await.unwrap();
    assert!(fs_err::read_to_string(handoff).unwrap().contains("cuda/fp16\","));
    // An exported folder brings it to another cache.
    provisioner.export(&folder, &foreign.path("exported")).await.unwrap();
    let there = shelf.provisioner(&foreign, "other");
    let imported = there.import(&ImportRequest::new(foreign.path("exported"))).await.unwrap();
    assert!(imported.local_path.ends_with("cuda/fp16") && imported.local_path.join("config.json").is_file());
}
