//! Answers for `hf:` references: lists the files of a model, and opens them.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use model_selection::{Manifests, check, select};
use provisioner_core::{
    ByteRange, FetchError, FetchErrorKind, HostPolicy, Locator, Manifest, ManifestFile, ModelFetcher,
    ModelRef, Opened, RemoteFile, ResolveRequest, reference::RepoRef,
};
use source_http::{HttpClient, Location, bounds_of, invalid, no_bytes};

#[cfg(feature = "xet")]
use crate::xet::{Xet, XetFile};
use crate::{
    api::{HubApi, TreeFile},
    cache::{self, Listing},
    error::HubDialect,
    settings::HubSettings,
};

/// The scheme of the Hub.
const SCHEME: &str = "hf";

/// Keeps what the fetcher learns of a file from its listing on. It lives for as long as the manifest.
#[derive(Debug, Default)]
struct FileState {
    /// Where the hub redirects to.
    location: Location,
    /// The file in Xet, where the hub stores it there.
    #[cfg(feature = "xet")]
    xet: Option<XetFile>,
}

impl FileState {
    /// Returns the state of a file that this fetcher listed. A file of another manifest begins with none.
    fn of(file: &RemoteFile) -> Arc<Self> {
        file.state::<Arc<Self>>().cloned().unwrap_or_default()
    }
}

/// Answers for `hf:` references.
#[derive(Debug)]
pub struct HubFetcher {
    api: HubApi,
    /// Where the Hub's own tools keep its listings.
    caches: Vec<PathBuf>,
    /// Xet, for large files, where the settings and the policy allow it.
    #[cfg(feature = "xet")]
    xet: Option<Xet>,
}

impl HubFetcher {
    /// Returns a fetcher for one hub. It opens no connection before its first request.
    pub fn new(settings: HubSettings) -> Self {
        Self {
            #[cfg(feature = "xet")]
            xet: settings.xet.then(|| Xet::new(settings.http.timeout)),
            caches: settings.caches.clone(),
            api: HubApi::new(HttpClient::new(settings.http, HubDialect)),
        }
    }

    /// Returns the manifest of the files that belong to a model, of a listed commit.
    fn manifest(&self, hub: &RepoRef, commit: String, tree: Vec<TreeFile>) -> Result<Manifest, FetchError> {
        let listing = tree.iter().map(|file| (file.path.as_str(), file.size)).collect();
        let choice = select(hub, &listing, &Manifests::default())?;
        let mut listed: HashMap<_, _> = tree.into_iter().map(|file| (file.path.clone(), file)).collect();
        let chosen: Vec<_> = choice.files.iter().filter_map(|file| listed.remove(&file.path)).collect();
        #[cfg(feature = "xet")]
        let xet = self.xet.as_ref().map(|xet| xet.list(self.api.xet_token_address(hub.repo(), &commit)));
        let files = chosen.into_iter().map(|file| {
            let address = String::from(self.api.file_address(hub.repo(), &commit, file.path.as_str()));
            let state = FileState {
                #[cfg(feature = "xet")]
                xet: xet.as_ref().zip(file.xet_hash).map(|(commit, hash)| XetFile::new(hash, commit)),
                ..FileState::default()
            };
            let remote = RemoteFile::new(address).with_state(Arc::new(state));
            let (path, size, digest) = (file.path, file.size, Some(file.digest));
            ManifestFile { path, size, digest, locator: Locator::Streamed(remote) }
        });
        let manifest = Manifest::new(ModelRef::Repo(hub.clone()), files.collect(), choice.entry.clone())
            .map_err(|error| FetchError::new(FetchErrorKind::Invalid, error.to_string()))?;
        Ok(choice.applied_to(manifest.at_revision(commit)))
    }

    /// Lists the files of a model. An error may repeat the token.
    async fn list(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let hub = hub_of(request)?;
        let commit = self.api.commit_of(hub, request.revision.as_deref()).await?;
        let tree = self.api.tree_of(hub, &commit).await?;
        self.manifest(hub, commit, tree)
    }

    /// Lists the files of a model from the caches that the Hub's own tools keep on this machine.
    async fn recall(&self, request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        let hub = hub_of(request)?;
        let (caches, wanted, revision) = (self.caches.clone(), hub.clone(), request.revision.clone());
        let found =
            tokio::task::spawn_blocking(move || cache::listing(&caches, &wanted, revision.as_deref())).await;
        let found = found.map_err(|error| {
            FetchError::new(FetchErrorKind::Storage, "the process stopped before it had read the Hub's cache")
                .because(error)
        })?;
        let Some(Listing { commit, files, path }) = found? else { return Ok(None) };
        Ok(Some(self.manifest(hub, commit, files)?.listed_in(path)))
    }

    /// Opens a range. An error and the validator may repeat the token.
    async fn open_range(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let Locator::Streamed(remote) = &file.locator else {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                format!("`{}` is not on the hub", file.path),
            ));
        };
        let bounds = bounds_of(file, range)?;
        if bounds.is_empty() {
            return Ok(no_bytes(file, bounds.end));
        }
        let (address, state) = (remote.address(), FileState::of(remote));
        #[cfg(feature = "xet")]
        if let (Some(xet), Some(at)) = (&self.xet, &state.xet)
            && let Some(opened) = xet.open(self.api.client(), at, address, file.size, bounds).await
        {
            return Ok(opened);
        }
        state.location.open(self.api.client(), address, file, range).await
    }

    /// Refuses a listing that has the token in a file's name: names become those of files, and are in every record.
    fn check_names(&self, manifest: &Manifest) -> Result<(), FetchError> {
        let Some(token) = self.api.client().token() else { return Ok(()) };
        if !manifest.files().iter().any(|file| token.is_in(file.path.as_str())) {
            return Ok(());
        }
        let hint = "renew the token, for the hub shows it to whom it sends this listing";
        Err(invalid(self.api.client().endpoint(), "a file that is listed has the token in its name")
            .with_hint(hint))
    }
}

#[async_trait]
impl ModelFetcher for HubFetcher {
    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    fn has_repositories(&self) -> bool {
        true
    }

    fn confine(&mut self, hosts: &HostPolicy) -> Result<(), FetchError> {
        self.api.client_mut().confine(hosts);
        // Only the hub and its storage know which hosts a file in Xet needs.
        #[cfg(feature = "xet")]
        if hosts.is_limited() {
            self.xet = None;
        }
        Ok(())
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let manifest = self.list(request).await.map_err(|error| self.api.client().redacted(error))?;
        self.check_names(&manifest)?;
        Ok(manifest)
    }

    async fn resolve_offline(&self, request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        let manifest = self.recall(request).await.map_err(|error| self.api.client().redacted(error))?;
        manifest.iter().try_for_each(|manifest| self.check_names(manifest))?;
        Ok(manifest)
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let opened = self.open_range(file, range).await.map_err(|error| self.api.client().redacted(error))?;
        let Some(token) = self.api.client().token().cloned() else { return Ok(opened) };
        let validator = opened.validator.filter(|validator| !token.is_in(validator));
        let stream = Box::pin(opened.stream.map_err(move |error| token.redact_error(error)));
        Ok(Opened { validator, stream, ..opened })
    }
}

/// Returns the reference of a request, once its patterns are known to be patterns.
fn hub_of(request: &ResolveRequest) -> Result<&RepoRef, FetchError> {
    match &request.reference {
        ModelRef::Repo(hub) if hub.scheme() == SCHEME => check(hub).map(|()| hub),
        other => {
            let message = format!("`{other}` is not a reference to the hub");
            Err(FetchError::new(FetchErrorKind::Unsupported, message))
        }
    }
}
