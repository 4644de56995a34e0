//! The model that is committed with the examples is the one that the builder makes, and its config pins it.

use sha2::{Digest as _, Sha256};
use testkit::{FakeModel, PUBLIC_KEY, Signature, assert_current};

#[test]
fn the_example_is_current() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let bytes = FakeModel::gguf().to_bytes();
    assert!(bytes.len() < 100_000, "{} bytes", bytes.len());
    let config = format!(
        "# cargo run --release --no-default-features -- provision --config examples/model.yaml\n\
         model_ref: tiny.gguf\n\
         expected_digest: {{ algo: sha256, value: {} }}\n\
         strict_verification: true\n",
        hex::encode(Sha256::digest(&bytes)),
    );
    assert_current(format!("{examples}/tiny.gguf").as_ref(), &bytes);
    let signature = Signature::of([(".", &bytes)]).to_json() + "\n";
    assert_current(format!("{examples}/tiny.gguf.sig").as_ref(), signature.as_bytes());
    assert_current(format!("{examples}/publisher.pem").as_ref(), PUBLIC_KEY.as_bytes());
    assert_current(format!("{examples}/model.yaml").as_ref(), config.as_bytes());
}
