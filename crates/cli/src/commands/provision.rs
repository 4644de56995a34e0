//! Makes the model of a config present, writes its handoff, and prints where.

use std::process::ExitCode;

use model_provisioner::{DEFAULT_LLAMACPP_HANDOFF_PATH, ModelProvisionerConfig, readable_size};

use super::{locked::lock_file, unverified};
use crate::{
    args::ProvisionArgs,
    invocation::Invocation,
    output::{documents::model::Model, failure::Failure, text::verification_word},
};

/// Provisions from a config.
///
/// # Errors
/// Where the config makes no sense, the model cannot be ensured, or the handoff cannot be written.
pub(super) async fn run(invocation: &Invocation, args: ProvisionArgs) -> Result<ExitCode, Failure> {
    let ProvisionArgs { config: config_path, locked, handoff } = args;
    let config = ModelProvisionerConfig::from_path(&config_path)?;
    if locked.is_some() && config.fit.is_some() {
        return Err(Failure::usage(
            "the config chooses a model with `fit`, and a lock file names it already",
        ));
    }
    let lock = match lock_file(locked.as_deref())? {
        Some(lock) => Some(lock),
        None => config.lock_file()?,
    };
    let dest =
        handoff.or_else(|| config.handoff_path()).unwrap_or_else(|| DEFAULT_LLAMACPP_HANDOFF_PATH.into());
    let provisioner = invocation.configured(&config, lock)?;
    let done = provisioner.provision(&config, &config_path, &dest).await?;
    unverified::warn(&done.model, invocation.output);
    invocation.output.say(format_args!(
        "{} ({}, {})",
        done.model.id,
        readable_size(done.model.size_bytes),
        verification_word(&done.model.verification)
    ));
    let document = Model::new(&done.model, Some(done.handoff.clone())).attested(done.statement);
    invocation.output.paths(&document, done.handoff.display())?;
    Ok(ExitCode::SUCCESS)
}
