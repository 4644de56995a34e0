//! The default path of the handoff is relative to the working directory, which the whole process shares. So this test has a
//! process of its own.

use model_provisioner::{DEFAULT_LLAMACPP_HANDOFF_PATH, blocking, provision_from_config_to_default_handoff};

/// Makes the call inside a single-threaded runtime, which it blocks, with the temp folder as cache.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "as an orchestrator would")]
async fn works_inside_a_single_threaded_runtime() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("model.yaml");
    fs_err::write(dir.path().join("tiny.gguf"), testkit::TINY_GGUF)?;
    fs_err::write(&config, "model_ref: file:tiny.gguf\n")?;
    std::env::set_current_dir(dir.path())?;

    let meta = provision_from_config_to_default_handoff(config.to_str().unwrap(), std::env::temp_dir())?;
    println!("handoff written to {} (model path: {})", DEFAULT_LLAMACPP_HANDOFF_PATH, meta.path.display());

    assert_eq!(meta.path, dir.path().join("tiny.gguf"));
    assert!(dir.path().join(DEFAULT_LLAMACPP_HANDOFF_PATH).exists());
    blocking::ModelProvisioner::file_only(std::env::temp_dir())?.remove(&meta.id.parse()?)?;
    Ok(())
}
