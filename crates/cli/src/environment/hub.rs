//! Reads what the Hugging Face Hub's own tools read of the environment.

use std::time::Duration;

use model_provisioner::ProvisionerBuilder;

use super::variable::{Variable, is_yes};
use crate::output::failure::Failure;

/// Returns whether `HF_HUB_OFFLINE` forbids the network, or `TRANSFORMERS_OFFLINE` where the first one is not set.
pub(crate) fn is_offline() -> bool {
    let given = [Variable::HubOffline, Variable::TransformersOffline]
        .into_iter()
        .find_map(|variable| variable.text().filter(|text| !text.is_empty()));
    given.is_some_and(|text| is_yes(&text))
}

/// Returns the address of the hub, for people to read.
pub(super) fn endpoint() -> String {
    let endpoint = given_endpoint().unwrap_or_else(|| "https://huggingface.co".to_owned());
    // An operator who writes a password into the address does not want to see it here.
    match endpoint.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => endpoint,
    }
}

fn given_endpoint() -> Option<String> {
    Variable::Endpoint.text().filter(|text| !text.trim().is_empty())
}

/// Adds the fetcher of the Hugging Face Hub, with the hub's address, the token, the caches and the road that the environment
/// names.
///
/// # Errors
/// `invalid-usage` or another code of usage, where the address of the hub makes no sense.
#[cfg(feature = "hf")]
pub(crate) fn with_hub(
    builder: ProvisionerBuilder,
    timeout: Duration,
) -> Result<ProvisionerBuilder, Failure> {
    use model_provisioner::{Error, HubFetcher, HubSettings};

    use super::{local_caches::hub_caches, token::token};
    use crate::output::redact;

    let endpoint = given_endpoint();
    let mut settings = HubSettings::new(endpoint.as_deref()).map_err(Error::from)?.timeout(timeout);
    if let Some((token, origin)) = token() {
        redact::keep_out(&token);
        settings = settings.token(Some(token)).token_origin(origin);
    }
    settings = settings.caches(hub_caches());
    #[cfg(feature = "xet")]
    let settings = settings.xet(!Variable::NoXet.is_yes());
    Ok(builder.fetcher(HubFetcher::new(settings)))
}

/// Returns the builder as it is: this build has no fetcher of the Hugging Face Hub.
#[cfg(not(feature = "hf"))]
#[expect(clippy::unnecessary_wraps, reason = "with the Hub, its address may make no sense")]
pub(crate) fn with_hub(builder: ProvisionerBuilder, _: Duration) -> Result<ProvisionerBuilder, Failure> {
    Ok(builder)
}

/// Returns where the token comes from that the command would send to a hub, as a fragment.
#[cfg(feature = "hf")]
pub(super) fn token_origin() -> Option<String> {
    super::token::token().map(|(_, origin)| origin.to_string())
}

/// Returns nothing: this build sends no token.
#[cfg(not(feature = "hf"))]
pub(super) fn token_origin() -> Option<String> {
    None
}
