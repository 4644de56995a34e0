//! The examples do what they say.

use std::path::Path;

use model_provisioner::{Decision, Format, ModelProvisionerConfig, ModelRef, PolicyEngine, Question};
use testkit::TINY_GGUF;

#[path = "../../examples/embed.rs"]
#[expect(dead_code, reason = "its `main` is not called here")]
mod embed;
#[path = "../../examples/pool.rs"]
#[expect(dead_code, reason = "its `main` is not called here")]
mod pool;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_program_without_a_runtime_gets_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tiny.gguf");
    fs_err::write(&model, TINY_GGUF).unwrap();
    assert_eq!(embed::embed(text(&dir.path().join("cache")), text(&model)).unwrap(), model);
    let absent = dir.path().join("absent.gguf");
    assert!(embed::embed(text(&dir.path().join("cache")), text(&absent)).is_err());
}

#[tokio::test]
async fn a_pool_starts_an_engine_for_each_model() {
    let dir = tempfile::tempdir().unwrap();
    let models = ["a.gguf", "b.gguf", "c.gguf"].map(|name| dir.path().join(name));
    for model in &models {
        fs_err::write(model, TINY_GGUF).unwrap();
    }
    let references = models.iter().map(|model| text(model).to_owned()).collect();
    let cache = dir.path().join("cache");
    // Each engine removes the file that it is told of, and so shows that it was told of the right one.
    let engines = pool::start_all(text(&cache), "rm", references).await.unwrap();
    assert_eq!(engines.len(), 3);
    for mut engine in engines {
        assert!(engine.wait().unwrap().success());
    }
    assert!(models.iter().all(|model| !model.exists()));
    let absent = text(&dir.path().join("absent.gguf")).to_owned();
    assert!(pool::start_all(text(&cache), "true", vec![absent]).await.is_err());
}

#[test]
fn the_profile_pins_its_model_and_allows_nothing_else() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tinyllama.yaml");
    let config = ModelProvisionerConfig::from_path(&path).unwrap();
    let reference = config.reference().unwrap();
    let repo = reference.repository().unwrap();
    assert_eq!(repo.revision().map(str::len), Some(40), "a commit, and not a branch");
    let expectation = config.expectation();
    assert!(expectation.is_strict() && expectation.digest().is_some());
    assert!(config.fit.is_some());
    let allows = |question| config.policy.decide(&question) == Decision::Allowed;
    assert!(allows(Question::Reference(&reference)) && allows(Question::Network(&reference)));
    assert!(allows(Question::Size { id: "m", size_bytes: 668_788_096 }));
    let other: ModelRef = "hf:TheBloke/other".parse().unwrap();
    assert!(!allows(Question::Reference(&other)));
    assert!(!allows(Question::Format { path: "m.bin", format: Format::Pickle }));
    assert!(!allows(Question::Size { id: "m", size_bytes: 2_000_000_000 }));
}
