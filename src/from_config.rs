//! Makes a model present and writes its handoff, from a config and without a runtime.

use std::path::Path;

use crate::{
    config::ModelProvisionerConfig, error::Result, own_runtime::run, provision::ModelMetadata,
    provisioner::ModelProvisioner,
};

/// The path at which a llama.cpp engine looks for its handoff, relative to the working directory.
pub const DEFAULT_LLAMACPP_HANDOFF_PATH: &str = ".runtime/engines/llamacpp.json";

/// Makes the model of a config present, and writes its handoff to `handoff_dest`.
///
/// The call works inside any tokio runtime, for it runs on a thread with a runtime of its own, and it blocks the caller.
/// It does not share the work of another call of this process. It waits at most 10 seconds for another process that
/// changes the catalog.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config), and as [`ModelProvisioner::ensure`].
pub fn provision_from_config_to_handoff(
    config_path: impl AsRef<Path>,
    handoff_dest: impl AsRef<Path>,
    cache_dir: impl AsRef<Path>,
) -> Result<ModelMetadata> {
    let config = ModelProvisionerConfig::from_path(&config_path)?;
    let builder = ModelProvisioner::builder(cache_dir.as_ref()).policy(config.placed_policy());
    let builder = match config.lock_file()? {
        Some(lock) => builder.locked(lock),
        None => builder,
    };
    let provisioner = builder.adopt(config.adoption()).build()?;
    let done = run(provisioner.provision(&config, config_path.as_ref(), handoff_dest.as_ref()))??;
    Ok(ModelMetadata::from(&done.model))
}

/// Makes the model of a config present, and writes its handoff to [`DEFAULT_LLAMACPP_HANDOFF_PATH`] in the working
/// directory. See [`provision_from_config_to_handoff`].
///
/// ```no_run
/// use model_provisioner::{DEFAULT_LLAMACPP_HANDOFF_PATH, provision_from_config_to_default_handoff};
///
/// let meta = provision_from_config_to_default_handoff("/etc/model.yaml", std::env::temp_dir())?;
/// println!("handoff in {DEFAULT_LLAMACPP_HANDOFF_PATH}, model in {}", meta.path.display());
/// # Ok::<(), model_provisioner::Error>(())
/// ```
///
/// # Errors
/// As [`provision_from_config_to_handoff`].
pub fn provision_from_config_to_default_handoff(
    config_path: impl AsRef<Path>,
    cache_dir: impl AsRef<Path>,
) -> Result<ModelMetadata> {
    provision_from_config_to_handoff(config_path, DEFAULT_LLAMACPP_HANDOFF_PATH, cache_dir)
}
