//! Goes from a config to a handoff, with the statement that the config wants.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use provisioner_core::{Expectation, Format, ModelFacts, ModelRef, ResolvedModel};

use crate::{
    attest::{self, configured},
    config::ModelProvisionerConfig,
    context::{Context, run_blocking},
    ensure::ensure,
    error::Result,
    handoff::hand_off::{check_inputs_stay, files_read, hand_off},
    signing::signature_demand,
};

/// Describes a model that a call provided, as the two functions on a config return it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelMetadata {
    /// The id of the model: the canonical text of its reference.
    pub id: String,
    /// The path that an engine opens: a file or a folder.
    pub path: PathBuf,
    /// The size of all files, in bytes.
    pub size_bytes: u64,
    /// The longest context that the model was made for, in tokens; `None` where its header does not say.
    pub ctx_max: Option<u64>,
    /// The format of the weights.
    pub format: Format,
    /// The other facts that the model's header has.
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

/// Holds a model that a call provided, and the path of its handoff.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Provisioned {
    /// The model that the call provided.
    pub model: ResolvedModel,
    /// The absolute path of the handoff.
    pub handoff: PathBuf,
    /// The absolute path of the statement, where the config wants one.
    pub statement: Option<PathBuf>,
}

/// Makes the model of a config, by the reference that is meant, present and writes its handoff to `dest`. The statement that the
/// config wants comes first: an engine may start as soon as the handoff is there.
pub(crate) async fn provision(
    ctx: &Arc<Context>,
    config: &ModelProvisionerConfig,
    reference: &ModelRef,
    config_path: &Path,
    dest: &Path,
) -> Result<Provisioned> {
    check_dest(ctx, config, reference, config_path, dest).await?;
    let expectation = expected(config).await?;
    let options = match config.attest() {
        Some(attest) => Some(run_blocking(move || configured::options(&attest)).await?),
        None => None,
    };
    let model = ensure(ctx, reference, &expectation).await?;
    let statement = match options {
        Some(options) => attest::attest(ctx, reference, &options).await?.path,
        None => None,
    };
    let config_path = std::path::absolute(config_path).unwrap_or_else(|_| config_path.to_owned());
    let handoff = hand_off(ctx, &model, dest, Some(config_path), statement.as_slice()).await?;
    Ok(Provisioned { model, handoff, statement })
}

/// Fails where the handoff would overwrite the config, a file that it names, or another one that the call reads.
async fn check_dest(
    ctx: &Arc<Context>,
    config: &ModelProvisionerConfig,
    reference: &ModelRef,
    config_path: &Path,
    dest: &Path,
) -> Result<()> {
    let signature = config.signature().unwrap_or_default();
    let named = [config.attest().and_then(|attest| attest.key), signature.public_key, signature.file];
    let mut inputs = files_read(ctx, Some(reference));
    inputs.extend(named.into_iter().flatten().chain([config_path.to_owned()]));
    let dest = dest.to_owned();
    run_blocking(move || check_inputs_stay(&dest, inputs.iter().map(PathBuf::as_path))).await
}

/// Returns what a config demands of its model, with the signature that it names.
///
/// # Errors
/// The config's key cannot be read; this build verifies no signatures, and the config demands one.
async fn expected(config: &ModelProvisionerConfig) -> Result<Expectation> {
    let expectation = config.expectation();
    let Some(signature) = config.signature() else { return Ok(expectation) };
    run_blocking(move || Ok(expectation.signed(signature_demand(&signature)?))).await
}
