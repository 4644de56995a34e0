//! The library hands out no model that is not whole.

use model_provisioner::{Basis, Expectation, ModelProvisioner, Outcome};
use testkit::FakeModel;

use crate::fixture::{Fixture, code, reference, sha256};

#[tokio::test]
async fn a_truncated_model_is_refused_before_it_is_registered() {
    let bench = Fixture::new();
    let whole = FakeModel::gguf().to_bytes();
    let path = bench.old_file("a.gguf", &whole[..whole.len() - 100]);
    let provisioner = bench.provisioner();
    let error = provisioner.ensure_present(&reference(&path), None).await.unwrap_err();
    assert_eq!(error.code().as_str(), "rejected");
    let told = error.to_string();
    assert!(told.contains("structure: `a.gguf`: ") && told.lines().count() == 1, "{told}");
    assert!(provisioner.list().await.unwrap().models.is_empty());
    // Not even to a caller that names the digest of these very bytes.
    let digest = sha256(&whole[..whole.len() - 100]);
    assert_eq!(code(provisioner.ensure_present(&reference(&path), Some(digest)).await), "rejected");
    fs_err::write(&path, whole).unwrap();
    provisioner.ensure_present(&reference(&path), None).await.unwrap();
}

#[tokio::test]
async fn a_shard_of_another_model_is_refused() {
    let bench = Fixture::new();
    let shards = FakeModel::gguf().shards(2).write_to(&bench.path("m"), "x").unwrap();
    let three = FakeModel::gguf().shards(3).write_to(&bench.path("other"), "x").unwrap();
    fs_err::copy(&three[1], &shards[1]).unwrap();
    assert_eq!(code(bench.provisioner().ensure_present(&reference(&shards[0]), None).await), "rejected");
}

#[tokio::test]
async fn what_is_no_model_comes_with_a_warning_unless_its_digest_says_that_it_is_meant() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("README.md", b"# Read me\n"));
    let provisioner = bench.provisioner();
    let model = provisioner.ensure_present(&path, None).await.unwrap();
    assert_eq!(model.verification.outcome, Outcome::Warn);
    assert!(model.verification.reason.contains("its structure is not known"), "{:?}", model.verification);
    let strict = Expectation::pinned(sha256(b"# Read me\n")).strict(true);
    let model = provisioner.ensure(&path, &strict).await.unwrap();
    assert_eq!((model.verification.outcome, model.verification.basis), (Outcome::Pass, Some(Basis::Pinned)));
}

#[tokio::test]
async fn who_leaves_the_look_out_gets_what_there_is() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", b"GGUF"));
    let trusting = ModelProvisioner::builder(bench.cache()).unsafe_skip_structure().build().unwrap();
    assert_eq!(trusting.ensure_present(&path, None).await.unwrap().verification.outcome, Outcome::Warn);
    assert_eq!(code(bench.provisioner().ensure_present(&path, Some(sha256(b"GGUF"))).await), "rejected");
}
