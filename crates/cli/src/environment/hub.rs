//! Reads what the Hugging Face Hub's own tools read of the environment.

use std::time::Duration;

use model_provisioner::{ProvisionerBuilder, Via};

#[cfg(feature = "hf")]
use super::endpoint;
use super::variable::{Variable, is_yes};
use crate::output::failure::Failure;

/// Returns whether `HF_HUB_OFFLINE` forbids the network, or `TRANSFORMERS_OFFLINE` where the first one is not set.
pub(crate) fn is_offline() -> bool {
    let given = [Variable::HubOffline, Variable::TransformersOffline]
        .into_iter()
        .find_map(|variable| variable.text().filter(|text| !text.is_empty()));
    given.is_some_and(|text| is_yes(&text))
}

/// Adds the fetcher of the Hugging Face Hub that the caller wants, with the hub's address, the token, the caches and the road that the
/// environment names.
///
/// # Errors
/// `invalid-usage` or another code of usage, where the address of the hub makes no sense, or this build lacks that fetcher.
pub(crate) fn with_hub(
    builder: ProvisionerBuilder,
    timeout: Duration,
    via: Via,
) -> Result<ProvisionerBuilder, Failure> {
    match via {
        Via::HfCli => with_command(builder, timeout),
        Via::Native if !cfg!(feature = "hf") => {
            Err(Failure::usage("this build has no native client of the Hub: leave `--via native` out"))
        }
        Via::Auto if !cfg!(feature = "hf") && cfg!(feature = "hf-cli") => with_command(builder, timeout),
        _ => with_native(builder, timeout),
    }
}

/// Adds the native client.
#[cfg(feature = "hf")]
fn with_native(builder: ProvisionerBuilder, timeout: Duration) -> Result<ProvisionerBuilder, Failure> {
    Ok(builder.fetcher(native(timeout)?))
}

/// Returns the builder as it is: this build has no native client.
#[cfg(not(feature = "hf"))]
#[expect(clippy::unnecessary_wraps, reason = "with the Hub, its address may make no sense")]
fn with_native(builder: ProvisionerBuilder, _: Duration) -> Result<ProvisionerBuilder, Failure> {
    Ok(builder)
}

/// Adds the fetcher that runs the `hf` command.
#[cfg(feature = "hf-cli")]
fn with_command(builder: ProvisionerBuilder, timeout: Duration) -> Result<ProvisionerBuilder, Failure> {
    let fetcher = super::hub_command::fetcher(timeout);
    #[cfg(feature = "hf")]
    let fetcher = fetcher.listed_by(native(timeout)?);
    Ok(builder.fetcher(fetcher))
}

/// Refuses: this build does not run the `hf` command.
#[cfg(not(feature = "hf-cli"))]
fn with_command(_: ProvisionerBuilder, _: Duration) -> Result<ProvisionerBuilder, Failure> {
    Err(Failure::usage("this build does not run the `hf` command: leave `--via hf-cli` out"))
}

/// Returns the native client.
#[cfg(feature = "hf")]
fn native(timeout: Duration) -> Result<model_provisioner::HubFetcher, Failure> {
    use model_provisioner::{Error, HubFetcher, HubSettings};

    let endpoint = endpoint::given();
    let mut settings = HubSettings::new(endpoint.as_deref()).map_err(Error::from)?.timeout(timeout);
    if let Some((token, origin)) = super::token::kept_out() {
        settings = settings.token(Some(token)).token_origin(origin);
    }
    settings = settings.caches(super::local_caches::hub_caches());
    #[cfg(feature = "xet")]
    let settings = settings.xet(!Variable::NoXet.is_yes());
    Ok(HubFetcher::new(settings))
}

/// Returns the path of the token's file.
#[cfg(any(feature = "hf", feature = "hf-cli"))]
pub(super) fn token_file() -> Option<std::path::PathBuf> {
    super::token::file()
}

/// Returns nothing: this build reads no token.
#[cfg(not(any(feature = "hf", feature = "hf-cli")))]
pub(super) fn token_file() -> Option<std::path::PathBuf> {
    None
}

/// Returns where the token comes from that the command would send to a hub, as a fragment.
#[cfg(any(feature = "hf", feature = "hf-cli"))]
pub(super) fn token_origin() -> Option<String> {
    super::token::token().map(|(_, origin)| origin.to_string())
}

/// Returns nothing: this build sends no token.
#[cfg(not(any(feature = "hf", feature = "hf-cli")))]
pub(super) fn token_origin() -> Option<String> {
    None
}
