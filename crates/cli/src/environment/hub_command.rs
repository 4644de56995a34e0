//! Makes the fetcher that runs the Hub's own command, as the environment describes it.

use std::{path::PathBuf, time::Duration};

use model_provisioner::{HubCommandFetcher, HubCommandSettings};

use super::{endpoint, local_caches::hub_caches, program, token, variable};

/// How long `hf` may take to tell its release.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the fetcher, with the hub's address, the token and the caches that the environment names.
pub(super) fn fetcher(timeout: Duration) -> HubCommandFetcher {
    let settings = settings(program::of_hub()).timeout(timeout).caches(hub_caches());
    let settings = settings.token(token::kept_out().map(|(token, _)| token));
    HubCommandFetcher::new(match endpoint::given() {
        Some(endpoint) => settings.endpoint(endpoint),
        None => settings,
    })
}

/// Returns the release that a program tells. It receives no token.
pub(super) async fn version(program: PathBuf) -> Option<String> {
    let fetcher = HubCommandFetcher::new(settings(Some(program)).timeout(VERSION_TIMEOUT));
    let told = fetcher.version().await;
    told.inspect_err(|error| tracing::debug!("`hf` does not tell its release: {error}")).ok()
}

fn settings(program: Option<PathBuf>) -> HubCommandSettings {
    HubCommandSettings::new(program).environment(variable::all())
}
