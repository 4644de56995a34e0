//! Asks the Hub what it says of a model and of a token, with the Hub's own client, hf-hub.
//!
//! # Model
//! hf-hub knows how the Hub writes these answers. Left to itself it would send a token of the environment to any endpoint and along
//! any link, follow redirects, and keep answers of any size; so it opens no connection to a network, and the `relay` answers it
//! with what our client gets. Its types, and its errors, stay in this module.
//!
//! # What it may cost
//! An odd type in one field fails a whole call of hf-hub. No answer here is needed to fetch a model: where a call fails, the
//! fetcher does without, or asks for the same by its own listing.

mod relay;

use std::{pin::pin, time::Duration};

use futures_util::TryStreamExt;
use hf_hub::{
    HFError,
    repository::{BlobSecurityInfo, RepoTreeEntry},
    split_id,
};
use provisioner_core::{
    Account, FactNeeds, FetchError, FetchErrorKind, Need, ScanStatus, SourceFacts, reference::RepoRef,
};
use serde_json::Value;
use source_http::{HttpClient, invalid, redacted};
use tokio::time::timeout;

use self::relay::Relay;
use crate::{
    api::{HubApi, LISTING_DEADLINES},
    facts::{Revision, is_sound},
    repository::Repository,
};

/// How long the hub may take to say who the caller is, or what it says for people to read.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fields of a model's description that the fetcher reads. The Hub's client takes no odd type in any field that comes, so it asks
/// for no other one.
const FIELDS: [&str; 5] = ["cardData", "disabled", "gated", "private", "tags"];

/// The largest number of files and folders of which the hub tells what its scanners say.
const MAX_ENTRIES: usize = 200_000;

/// The largest number of organizations that are kept.
const MAX_ORGANIZATIONS: usize = 100;

/// Adds to a repository what the caller needs to know and the hub has not told yet.
///
/// # Errors
/// Those of the listing, where a rule decides by the scanners' results and hf-hub does not get them either.
pub(crate) async fn complete(
    api: &HubApi,
    repository: &mut Repository,
    needs: FactNeeds,
) -> Result<(), FetchError> {
    let (client, hub, commit) = (api.client(), repository.hub.clone(), repository.commit.clone());
    let tell = |error| tracing::debug!("`{}`: hf-hub gets no facts: {}", hub.repo(), client.redacted(error));
    if needs.license > Need::No && repository.facts.license.is_none() {
        match facts(client, &hub, &commit).await {
            Ok(found) => repository.add_facts(found),
            Err(error) => tell(error),
        }
    }
    if needs.scans == Need::No {
        return Ok(());
    }
    let asked = scans(client, &hub, &commit, |path, status| repository.note_scan(path, status));
    let asked = match needs.scans {
        Need::Decisive => client.in_time(client.endpoint(), LISTING_DEADLINES, asked).await,
        _ => in_time(client, asked).await,
    };
    match asked {
        Err(error) if needs.scans == Need::Decisive => {
            tell(error);
            for file in api.tree_of(&hub, &commit, true).await?.files {
                file.scan.iter().for_each(|status| repository.note_scan(file.path.as_str(), *status));
            }
        }
        Err(error) => tell(error),
        Ok(()) => {}
    }
    Ok(())
}

/// Returns what the hub says of a repository at a commit, by the names of the fields.
async fn facts(client: &HttpClient, hub: &RepoRef, commit: &str) -> Result<SourceFacts, FetchError> {
    let relay = Relay::open(client).await?;
    let (owner, name) = split_id(hub.repo());
    let asked = relay.run(|hf| async move {
        let fields = FIELDS.map(str::to_owned).to_vec();
        hf.model(owner, name).info().revision(commit).expand(fields).send().await
    });
    let found = in_time(client, asked).await?;
    let described = Revision {
        sha: commit.to_owned(),
        card_data: found.card_data.unwrap_or_default(),
        tags: found.tags.map(Value::from).unwrap_or_default(),
        gated: found.gated.unwrap_or_default(),
        private: found.private.map(Value::from).unwrap_or_default(),
        disabled: found.disabled.map(Value::from).unwrap_or_default(),
    };
    Ok(described.facts())
}

/// Tells `note` what the hub's scanners say of each file of a commit.
async fn scans(
    client: &HttpClient,
    hub: &RepoRef,
    commit: &str,
    mut note: impl FnMut(&str, ScanStatus),
) -> Result<(), FetchError> {
    let relay = Relay::open(client).await?;
    let (owner, name) = split_id(hub.repo());
    let note = &mut note;
    let asked = relay.run(|hf| async move {
        let repository = hf.model(owner, name);
        let tree = repository.list_tree().revision(commit).recursive(true).expand(true).send()?;
        let (mut tree, mut entries) = (pin!(tree), 0);
        while let Some(entry) = tree.try_next().await? {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(HFError::malformed_response("the listing does not end"));
            }
            if let RepoTreeEntry::File { path, security: Some(BlobSecurityInfo { status, .. }), .. } = entry {
                note(&path, ScanStatus::of(&status));
            }
        }
        Ok(())
    });
    asked.await
}

/// Returns the account of the client's token. `None` where the client has no token, and then it asks nothing.
pub(crate) async fn account(client: &HttpClient) -> Result<Option<Account>, FetchError> {
    let Some(token) = client.token() else { return Ok(None) };
    let relay = Relay::open(client).await?;
    let asked = relay.run(|hf| async move { hf.whoami().send().await });
    let found = in_time(client, asked).await?;
    let is_kept = |name: &String| is_sound(name) && !token.is_in(name);
    let name = Some(found.username).filter(is_kept);
    let name = name.ok_or_else(|| invalid(client.endpoint(), "it names no account"))?;
    let organizations = found.orgs.into_iter().flatten().filter_map(|organization| organization.name);
    let organizations = organizations.filter(is_kept).take(MAX_ORGANIZATIONS).collect();
    Ok(Some(Account::new(name).in_organizations(organizations)))
}

/// Waits for an answer that no model needs, and not for long.
async fn in_time<T>(
    client: &HttpClient,
    asked: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let limit = client.settings().timeout.min(PATIENCE);
    timeout(limit, asked).await.unwrap_or_else(|_| {
        let message = format!("`{}` takes too long: more than {limit:?}", redacted(client.endpoint()));
        Err(FetchError::new(FetchErrorKind::Unavailable, message))
    })
}
