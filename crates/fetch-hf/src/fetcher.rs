//! Answers for `hf:` references: lists the files of a model, and opens them.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
#[cfg(feature = "info")]
use provisioner_core::Account;
use provisioner_core::{
    ByteRange, Entry, FetchError, FetchErrorKind, HostPolicy, Locator, Manifest, ManifestFile, ModelFetcher,
    ModelRef, Need, Opened, RelativePath, RemoteFile, ResolveRequest, reference::RepoRef,
};
use source_http::{HttpClient, Location, bounds_of, invalid, no_bytes};

#[cfg(feature = "info")]
use crate::info;
#[cfg(feature = "xet")]
use crate::xet::{Xet, XetCommit, XetFile};
use crate::{
    address::reference_at,
    api::{HubApi, LISTING_DEADLINES},
    cache,
    error::{HubDialect, naming},
    repository::Repository,
    request::{SCHEME, blocking, hub_of},
    settings::HubSettings,
    tree::TreeFile,
};

/// How many manifests the fetcher reads at once.
const READ_AT_ONCE: usize = 8;

/// Keeps what the fetcher learns of a file from its listing on. It lives for as long as the manifest.
#[derive(Debug, Default)]
struct FileState {
    /// Where the hub redirects to, once the fetcher has opened the file.
    location: OnceLock<Location>,
    /// The file in Xet, where the hub stores it there.
    #[cfg(feature = "xet")]
    xet: Option<Arc<XetFile>>,
    /// The bytes, where the fetcher read them before the choice.
    bytes: Option<Bytes>,
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
    /// Xet, for large files, where the settings allow it.
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

    /// Lists the files of a model: looks at the listing, reads the manifests that it names, and chooses. An error may repeat
    /// the token.
    async fn list(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let hub = hub_of(request)?;
        let (commit, facts) = self.api.commit_of(hub, request.revision.as_deref()).await?;
        // With the Hub's own client, the listing keeps its long pages.
        let with_scans = !cfg!(feature = "info") && request.needs.scans == Need::Decisive;
        let tree = self.api.tree_of(hub, &commit, with_scans).await?;
        let mut repository = Repository::new(hub.clone(), commit, tree);
        repository.facts = facts;
        #[cfg(feature = "info")]
        info::complete(&self.api, &mut repository, request.needs).await?;
        let is_secret = |text: &str| self.api.client().token().is_some_and(|token| token.is_in(text));
        repository.facts = repository.facts.without(is_secret);
        if let Some(chosen) = request.chosen.as_ref().filter(|chosen| repository.has(&chosen.paths)) {
            return self.manifest(repository, &chosen.paths, chosen.entry.clone());
        }
        let caches = self.caches.clone();
        let repository = blocking(move || {
            repository.read_downloaded(&caches);
            Ok(repository)
        })
        .await?;
        let reads = self.read_manifests(repository);
        let read = self.api.client().in_time(self.api.client().endpoint(), LISTING_DEADLINES, reads);
        self.chosen(read.await?)
    }

    /// Lists the files of a model from the caches that the Hub's own tools keep on this machine.
    async fn recall(&self, request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        let (hub, revision) = (hub_of(request)?.clone(), request.revision.clone());
        let caches = self.caches.clone();
        let recalled = blocking(move || {
            let Some(found) = cache::listing(&caches, &hub, revision.as_deref())? else { return Ok(None) };
            let mut repository = Repository::new(hub, found.commit, found.tree);
            repository.read_downloaded_alone(&caches);
            Ok(Some((repository, found.path)))
        });
        let Some((repository, path)) = recalled.await? else { return Ok(None) };
        Ok(Some(self.chosen(repository)?.listed_in(path)))
    }

    /// Chooses the files that belong to the model, and returns the manifest of these.
    fn chosen(&self, repository: Repository) -> Result<Manifest, FetchError> {
        let choice = repository.choose()?;
        let paths: Vec<_> = choice.files.iter().map(|file| file.path.clone()).collect();
        let manifest = self.manifest(repository, &paths, choice.entry.clone())?;
        Ok(choice.applied_to(manifest))
    }

    /// Returns the manifest of some of the listed files.
    fn manifest(
        &self,
        repository: Repository,
        paths: &[RelativePath],
        entry: Entry,
    ) -> Result<Manifest, FetchError> {
        let (hub, commit) = (&repository.hub.clone(), repository.commit.clone());
        #[cfg(feature = "xet")]
        let xet_commit =
            self.xet.is_some().then(|| XetCommit::new(self.api.xet_token_address(hub.repo(), &commit)));
        let facts = repository.facts_of(paths);
        let mut listed = repository.into_files();
        let taken = paths.iter().filter_map(|path| listed.take(path));
        let files = taken.map(|(file, bytes)| {
            let state = FileState {
                #[cfg(feature = "xet")]
                xet: xet_commit
                    .as_ref()
                    .zip(file.xet_hash.clone())
                    .map(|(commit, hash)| Arc::new(XetFile::new(hash, file.size, commit))),
                bytes,
                ..FileState::default()
            };
            self.streamed(hub, &commit, file, state)
        });
        let manifest = Manifest::new(ModelRef::Repo(hub.clone()), files.collect(), entry)
            .map_err(|error| FetchError::new(FetchErrorKind::Invalid, error.to_string()))?;
        Ok(manifest.at_revision(commit).with_source(Some(facts)))
    }

    /// Returns a file of a commit, for `open`.
    fn streamed(&self, hub: &RepoRef, commit: &str, file: TreeFile, state: FileState) -> ManifestFile {
        let address = String::from(self.api.file_address(hub.repo(), commit, file.path.as_str()));
        let remote = RemoteFile::new(address).with_state(Arc::new(state));
        let (path, size, digest) = (file.path, file.size, Some(file.digest));
        ManifestFile { path, size, digest, locator: Locator::Streamed(remote) }
    }

    /// Reads the manifests that say what a repository is, several at once, and then those that these name.
    async fn read_manifests(&self, mut repository: Repository) -> Result<Repository, FetchError> {
        loop {
            // What a program imports is told by reading it line by line.
            let told = blocking(move || {
                let telling = repository.telling();
                Ok((repository, telling))
            });
            let telling;
            (repository, telling) = told.await?;
            if telling.is_empty() {
                return Ok(repository);
            }
            let reads = telling.into_iter().map(|listed| {
                let state = FileState::default();
                let file = self.streamed(&repository.hub, &repository.commit, listed.clone(), state);
                async move { self.read_whole(&file).await.map(|bytes| (listed, bytes)) }
            });
            let reads: Vec<_> = stream::iter(reads).buffered(READ_AT_ONCE).try_collect().await?;
            for (file, bytes) in reads {
                if !repository.add(&file, bytes) {
                    let repo = repository.hub.repo();
                    tracing::warn!("`{}` of `{repo}` is not what the listing states", file.path);
                    repository.refuse(file.path);
                }
            }
        }
    }

    /// Reads a small file. More bytes than the listing states are cut off.
    async fn read_whole(&self, file: &ManifestFile) -> Result<Bytes, FetchError> {
        let opened = self.open_range(file, ByteRange::ALL).await?;
        let most = usize::try_from(file.size).unwrap_or(usize::MAX);
        self.api.client().whole(file.path.as_str(), opened, most).await
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
        if let Some(bytes) = &state.bytes {
            return Opened::of_bytes(bytes, range);
        }
        #[cfg(feature = "xet")]
        if let (Some(xet), Some(at)) = (&self.xet, &state.xet)
            && let Some(opened) = xet.open(self.api.client(), at, address, bounds).await
        {
            return Ok(opened);
        }
        let location = state.location.get_or_init(Location::default);
        let opened = location.open(self.api.client(), address, file, range).await;
        opened.map_err(|error| match reference_at(self.api.client().endpoint(), address) {
            Some(at_commit) => naming(error, &format!("{at_commit}/{}", file.path)),
            None => error,
        })
    }

    /// Refuses a listing that has the token in a file's name: names become those of files, and are in every record.
    fn check_names(&self, manifest: &Manifest) -> Result<(), FetchError> {
        let Some(token) = self.api.client().token() else { return Ok(()) };
        let chosen = manifest.files().iter().map(|file| file.path.as_str());
        let mut names = chosen.chain(manifest.left_out().iter().map(|file| file.path.as_str()));
        if !names.any(|name| token.is_in(name)) {
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

    #[cfg(feature = "xet")]
    fn range_bytes(&self, file: &ManifestFile, start: u64) -> Option<u64> {
        let Locator::Streamed(remote) = &file.locator else { return None };
        let state = FileState::of(remote);
        let in_xet = state.xet.as_ref().filter(|file| !file.is_given_up());
        in_xet.zip(self.xet.as_ref()).map(|(file, xet)| xet.range_bytes(file, start))
    }

    fn states_roles(&self) -> bool {
        true
    }

    fn confine(&mut self, hosts: &HostPolicy) -> Result<(), FetchError> {
        self.api.client_mut().confine(hosts);
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

    #[cfg(feature = "info")]
    async fn account(&self) -> Result<Option<Account>, FetchError> {
        let account = info::account(self.api.client()).await;
        account.map_err(|error| self.api.client().redacted(error))
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let opened = self.open_range(file, range).await.map_err(|error| self.api.client().redacted(error))?;
        let Some(token) = self.api.client().token().cloned() else { return Ok(opened) };
        let validator = opened.validator.filter(|validator| !token.is_in(validator));
        let stream = Box::pin(opened.stream.map_err(move |error| token.redact_error(error)));
        Ok(Opened { validator, stream, ..opened })
    }
}
