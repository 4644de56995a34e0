//! From a config to a handoff.

use std::path::{Path, PathBuf};

use handoff::Handoff;
use provisioner_core::{Format, ModelFacts, ResolvedModel};

use crate::{
    Error, ModelProvisioner, ModelProvisionerConfig, Result, blocking, provisioner::blocking as blocking_work,
};

/// Where a llama.cpp engine looks for its handoff, relative to the working directory.
pub const DEFAULT_LLAMACPP_HANDOFF_PATH: &str = ".runtime/engines/llamacpp.json";

/// What is known of a model that was provided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelMetadata {
    /// The canonical reference.
    pub id: String,
    /// What an engine is given: a file or a folder.
    pub path: PathBuf,
    /// The size of all files, in bytes.
    pub size_bytes: u64,
    /// The longest context that the model was made for, in tokens, where it is known.
    pub ctx_max: Option<u64>,
    /// What the weights are written in.
    pub format: Format,
    /// What else its header says of it.
    pub facts: ModelFacts,
}

impl From<&ResolvedModel> for ModelMetadata {
    fn from(model: &ResolvedModel) -> Self {
        Self {
            id: model.id.clone(),
            path: model.local_path.clone(),
            size_bytes: model.size_bytes,
            ctx_max: model.facts.ctx_max,
            format: model.format,
            facts: model.facts.clone(),
        }
    }
}

/// A model that was provided, and its handoff.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Provisioned {
    /// The model.
    pub model: ResolvedModel,
    /// Where the handoff was written.
    pub handoff: PathBuf,
}

impl ModelProvisioner {
    /// Makes the model of a config present and writes its handoff to `dest`. The policy is this provisioner's own, not the
    /// config's, and so is the place of the handoff. `config_path` is for the provenance log.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and what keeps the handoff from being written.
    pub async fn provision(
        &self,
        config: &ModelProvisionerConfig,
        config_path: &Path,
        dest: &Path,
    ) -> Result<Provisioned> {
        let (config_file, handoff) = (config_path.to_owned(), dest.to_owned());
        blocking_work(move || {
            let target = real(&handoff);
            if target.is_some() && target == real(&config_file) {
                return Err(Error::HandoffInTheWay { path: handoff });
            }
            Ok(())
        })
        .await?;
        let model = self.ensure(&config.reference()?, &config.expectation()).await?;
        let handoff = self.hand_off(&model, dest).await?;
        let config_path = std::path::absolute(config_path).unwrap_or_else(|_| config_path.to_owned());
        self.record_handoff(&model, config_path, handoff.clone()).await?;
        Ok(Provisioned { model, handoff })
    }

    /// Writes a model's handoff, and returns its absolute path.
    ///
    /// # Errors
    /// [`Error::HandoffInTheWay`] when that is one of the model's files, or lies in its folder; [`Error::Handoff`].
    pub async fn hand_off(&self, model: &ResolvedModel, dest: &Path) -> Result<PathBuf> {
        let (model, dest) = (model.clone(), dest.to_owned());
        tokio::task::spawn_blocking(move || {
            let path = std::path::absolute(&dest)
                .map_err(|error| Error::storage("the working directory cannot be found", error))?;
            if path.to_str().is_none() {
                return Err(provisioner_core::Error::PathNotUtf8 { path: path.display().to_string() }.into());
            }
            if is_in_the_way(&model, &path) {
                return Err(Error::HandoffInTheWay { path });
            }
            handoff::write(&Handoff::of(&model), &path)?;
            Ok(path)
        })
        .await?
    }
}

/// What a path leads to, through links as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let found = |path: &Path| fs_err::canonicalize(path).ok();
    found(&path).or_else(|| Some(found(path.parent()?)?.join(path.file_name()?)))
}

/// Whether a handoff at this path would overwrite a file of the model, or become one.
fn is_in_the_way(model: &ResolvedModel, path: &Path) -> bool {
    let target = real(path);
    let is_file =
        model.files.iter().any(|file| target.is_some() && real(&model.location(&file.path)) == target);
    let is_inside = model.local_path.is_dir()
        && target.zip(real(&model.local_path)).is_some_and(|(target, folder)| target.starts_with(folder));
    is_file || is_inside
}

/// Makes the model of a config present, and writes its handoff to `handoff_dest`.
///
/// It works inside any tokio runtime, for it runs on a thread with a runtime of its own; it blocks the caller. It
/// never joins work that this process does elsewhere, and waits at most 10 seconds for another process that holds the
/// catalog.
///
/// # Errors
/// What is wrong with the config, and as [`ModelProvisioner::ensure`].
pub fn provision_from_config_to_handoff(
    config_path: impl AsRef<Path>,
    handoff_dest: impl AsRef<Path>,
    cache_dir: impl AsRef<Path>,
) -> Result<ModelMetadata> {
    let config = ModelProvisionerConfig::from_path(&config_path)?;
    let builder = ModelProvisioner::builder(cache_dir.as_ref()).policy(config.policy.clone());
    let provisioner = builder.adopt(config.adoption()).build()?;
    let done = blocking::run(provisioner.provision(&config, config_path.as_ref(), handoff_dest.as_ref()))??;
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
