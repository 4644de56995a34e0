//! What the files of a repository say of themselves, once they arrived: companions by their headers, and indexes that differ.

use model_provisioner::{ModelRef, Notice, Outcome, Role};
use serde_json::json;
use testkit::{FakeModel, GgufWriter};

use crate::fixture::Fixture;

/// A projector by its header.
fn projector() -> Vec<u8> {
    let mut file = GgufWriter::default();
    file.string("general.architecture", "clip").string("general.type", "mmproj");
    file.tensor_f32("v.t", &[4], &[0.0; 4]);
    file.to_bytes()
}

#[tokio::test]
async fn a_quantization_that_is_a_companion_by_its_header_is_refused() {
    let bench = Fixture::new();
    bench
        .hub
        .repo("org/two")
        .lfs("vis-Q4_K_M.gguf", FakeModel::gguf().to_bytes())
        .lfs("vis-F16.gguf", projector())
        .publish();
    bench.hub.repo("org/one").lfs("vision.gguf", projector()).publish();
    let provisioner = bench.provisioner();
    provisioner.ensure_present_str("hf:org/two:Q4_K_M", None).await.unwrap();
    for (id, named) in
        [("hf:org/two:F16", "hf:org/two/vis-F16.gguf"), ("hf:org/one", "hf:org/one/vision.gguf")]
    {
        let error = provisioner.ensure_present_str(id, None).await.unwrap_err();
        assert_eq!(error.code().as_str(), "rejected", "{error}");
        assert!(error.to_string().contains("has the role `projector`"), "{error}");
        assert!(error.hint().unwrap().to_string().contains(&format!("`{named}`")), "{error:?}");
        assert!(provisioner.locate(&id.parse::<ModelRef>().unwrap()).await.unwrap().is_none());
        let model = provisioner.ensure_present_str(named, None).await.unwrap();
        assert_eq!(model.facts.role, Some(Role::Projector));
        let inspected = provisioner.inspect(&named.parse().unwrap()).await.unwrap();
        assert_eq!(serde_json::to_value(&inspected.details).unwrap()["role"], "projector");
    }
    // Patterns name files too.
    provisioner.ensure_present_str("hf:org/one?include=*.gguf", None).await.unwrap();
}

#[tokio::test]
async fn an_index_that_names_a_tensor_too_many_warns() {
    let bench = Fixture::new();
    let weights = testkit::safetensors_of(64, 1);
    let tensor = model_inspect::safetensors::Header::read(&mut weights.as_slice()).unwrap().names().remove(0);
    let index = |map: serde_json::Value| json!({ "weight_map": map }).to_string();
    let one = "model-00001-of-00001.safetensors";
    let publish = |repo: &str, map: serde_json::Value| {
        let repo = bench.hub.repo(repo).lfs(one, weights.clone()).file("config.json", "{}");
        repo.file("model.safetensors.index.json", index(map)).publish();
    };
    publish("org/ghost", json!({ tensor: one, "mtp.fc.weight": one }));
    publish("org/other", json!({ "mtp.fc.weight": one }));
    let model = bench.provisioner().ensure_present_str("hf:org/ghost", None).await.unwrap();
    assert_eq!(model.verification.outcome, Outcome::Warn);
    assert!(model.verification.reason.contains("`mtp.fc.weight`"), "{}", model.verification.reason);
    assert!(bench.provisioner().ensure_present_str("hf:org/ghost", None).await.unwrap().cached);
    let error = bench.provisioner().ensure_present_str("hf:org/other", None).await.unwrap_err();
    assert_eq!(error.code().as_str(), "rejected", "{error}");
    assert!(error.hint().unwrap().to_string().contains("leave it out with a pattern"), "{error:?}");
    bench.provisioner().ensure_present_str("hf:org/other?exclude=*.index.json", None).await.unwrap();
}

#[tokio::test]
async fn a_repository_that_has_a_pointer_is_refused_with_a_way_on() {
    let bench = Fixture::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 9\n";
    let repo = bench.hub.repo("org/repo").lfs("model.safetensors", testkit::safetensors_of(64, 1));
    repo.file("config.json", "{}").file("tokenizer.json", pointer).publish();
    let error = bench.provisioner().ensure_present_str("hf:org/repo", None).await.unwrap_err();
    assert_eq!(error.code().as_str(), "rejected");
    assert!(error.hint().unwrap().to_string().contains("another revision"), "{error:?}");
}

#[tokio::test]
async fn a_plan_and_an_inspection_tell_pointers_in_the_place_of_weights() {
    let bench = Fixture::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 9\n";
    let repo = bench.hub.repo("org/repo").lfs("model.safetensors", testkit::safetensors_of(64, 1));
    repo.file("config.json", "{}").file("spiece.model", pointer).publish();
    let (provisioner, reference) = (bench.provisioner(), "hf:org/repo".parse().unwrap());
    let plan = provisioner.plan(&reference).await.unwrap();
    assert_eq!(plan.notices, [Notice::LfsPointers { files: vec!["spiece.model".to_owned()] }]);
    let error = provisioner.inspect(&reference).await.unwrap_err();
    assert!(error.to_string().contains("`spiece.model`") && error.to_string().contains("pointer"), "{error}");
}
