//! The examples do what they say.

use std::path::Path;

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
