//! Listing and opening.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use provisioner_core::{
    ByteRange, FetchError, FetchErrorKind, HostPolicy, Locator, Manifest, ManifestFile, ModelFetcher,
    ModelRef, Opened, RemoteFile, ResolveRequest, reference::RepoRef,
};
use reqwest::{
    StatusCode, Url,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName},
};

#[cfg(feature = "xet")]
use crate::xet::{Xet, XetFile};
use crate::{
    HubSettings,
    api::TreeFile,
    cache::{self, Listing},
    choose::{check, choose},
    connections::Pool,
    http::{Answer, Http, broken, invalid},
};

/// Keeps what the fetcher learns of a file from its listing on. It lives for as long as the manifest.
#[derive(Debug, Default)]
struct FileState {
    /// Where the hub sent us: the next range is asked for there, until something goes wrong with that address.
    sent_to: Mutex<Option<Url>>,
    /// The other road to the file.
    #[cfg(feature = "xet")]
    xet: Option<XetFile>,
}

impl FileState {
    /// Returns the state of a file that this fetcher listed. A file of another manifest begins with none.
    fn of(file: &RemoteFile) -> Arc<Self> {
        file.state::<Arc<Self>>().cloned().unwrap_or_default()
    }

    fn place(&self) -> Option<Url> {
        self.lock().clone()
    }

    /// Keeps a place, or forgets the one that was known.
    fn remember(&self, place: Option<Url>) {
        *self.lock() = place;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Url>> {
        self.sent_to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scheme of the Hub.
const SCHEME: &str = "hf";

/// Answers for `hf:` references.
#[derive(Debug)]
pub struct HubFetcher {
    http: Http,
    /// Where the Hub's own tools keep its listings.
    caches: Vec<PathBuf>,
    /// The other road to large files, where it may be taken.
    #[cfg(feature = "xet")]
    xet: Option<Xet>,
}

impl HubFetcher {
    /// A fetcher for one hub. It opens nothing before it is asked.
    pub fn new(settings: HubSettings) -> Self {
        Self {
            #[cfg(feature = "xet")]
            xet: settings.xet.then(|| Xet::new(&settings)),
            caches: settings.caches.clone(),
            http: Http::new(settings),
        }
    }

    /// The files that belong to a model, of a listed commit.
    fn manifest(&self, hub: &RepoRef, commit: String, tree: Vec<TreeFile>) -> Result<Manifest, FetchError> {
        let choice = choose(hub, tree)?;
        #[cfg(feature = "xet")]
        let xet = self.xet.as_ref().map(|xet| xet.list(self.http.xet_token_address(hub.repo(), &commit)));
        let files = choice.files.into_iter().map(|file| {
            let address = String::from(self.http.file_address(hub.repo(), &commit, file.path.as_str()));
            let state = FileState {
                #[cfg(feature = "xet")]
                xet: xet.as_ref().zip(file.xet_hash).map(|(commit, hash)| XetFile::new(hash, commit)),
                ..FileState::default()
            };
            let remote = RemoteFile::new(address).with_state(Arc::new(state));
            let (path, size, digest) = (file.path, file.size, Some(file.digest));
            ManifestFile { path, size, digest, locator: Locator::Streamed(remote) }
        });
        let manifest = Manifest::new(ModelRef::Repo(hub.clone()), files.collect(), choice.entry)
            .map_err(|error| FetchError::new(FetchErrorKind::Invalid, error.to_string()))?;
        Ok(manifest.at_revision(commit).with_projector(choice.projector))
    }

    /// Asks where the hub sent us last, and the hub itself when that fails: such addresses expire, and nodes die.
    async fn ask(
        &self,
        address: &str,
        state: &FileState,
        range: ByteRange,
        pool: Pool,
    ) -> Result<Answer, FetchError> {
        if let Some(place) = state.place() {
            match self.http.get(place, range, pool).await {
                // Another place of the same storage would ask to be left alone too.
                Err(error) if error.retry_after.is_some() => return Err(error),
                Err(error) => {
                    tracing::debug!("the hub is asked anew: {}", self.http.redacted(error));
                    state.remember(None);
                }
                answered => return answered,
            }
        }
        let url = Url::parse(address)
            .map_err(|_| FetchError::new(FetchErrorKind::Invalid, "a file's address is none"))?;
        let answer = self.http.get(url, range, pool).await?;
        let is_elsewhere = !self.http.is_hub(&answer.url);
        state.remember(is_elsewhere.then(|| answer.url.clone()));
        Ok(answer)
    }

    /// Lists the files of a model. What the hub says of them may have the token in it.
    async fn list(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let hub = hub_of(request)?;
        let commit = self.http.commit_of(hub, request.revision.as_deref()).await?;
        let tree = self.http.tree_of(hub, &commit).await?;
        self.manifest(hub, commit, tree)
    }

    /// Lists the files of a model by what the Hub's own tools keep on this machine.
    async fn recall(&self, request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        let hub = hub_of(request)?;
        let (caches, wanted, revision) = (self.caches.clone(), hub.clone(), request.revision.clone());
        let found =
            tokio::task::spawn_blocking(move || cache::listing(&caches, &wanted, revision.as_deref())).await;
        let found = found.map_err(|error| {
            FetchError::new(FetchErrorKind::Storage, "looking into the Hub's cache was cut off")
                .because(error)
        })?;
        let Some(Listing { commit, files, path }) = found? else { return Ok(None) };
        Ok(Some(self.manifest(hub, commit, files)?.listed_in(path)))
    }

    /// Opens a range. What the hub says of it may have the token in it.
    async fn open_range(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let Locator::Streamed(remote) = &file.locator else {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                format!("`{}` is not on the hub", file.path),
            ));
        };
        let end = range.end.unwrap_or(file.size).min(file.size);
        if range.start > end {
            let message = format!("`{}` has no bytes from {} to {end}", file.path, range.start);
            return Err(FetchError::new(FetchErrorKind::Invalid, message));
        }
        // HTTP has no way to ask for no bytes.
        if range.start == end {
            let range = ByteRange { start: end, end: Some(end) };
            let stream = Box::pin(futures_util::stream::empty());
            return Ok(Opened { range, total_size: Some(file.size), validator: None, stream });
        }
        let (address, state) = (remote.address(), FileState::of(remote));
        #[cfg(feature = "xet")]
        if let (Some(xet), Some(at)) = (&self.xet, &state.xet)
            && let Some(opened) = xet.open(&self.http, at, address, file.size, range.start..end).await
        {
            return Ok(opened);
        }
        let Answer { response, url } = self.ask(address, &state, range, Pool::of_file(file.size)).await?;
        let headers = response.headers();
        let is_page = text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        let is_due = file.path.as_str().to_ascii_lowercase().ends_with(".html");
        if is_page && !is_due {
            return Err(invalid(&url, "a web page came where a file was due"));
        }
        if text(headers, &CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(invalid(&url, "the bytes came encoded"));
        }
        let (range, total_size) = if response.status() == StatusCode::PARTIAL_CONTENT {
            let parsed = text(headers, &CONTENT_RANGE).and_then(content_range);
            parsed.ok_or_else(|| invalid(&url, "the answer does not say which bytes it has"))?
        } else {
            let length = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
            (ByteRange { start: 0, end: length }, length)
        };
        let validator = text(headers, &ETAG).filter(|etag| !etag.starts_with("W/")).map(str::to_owned);
        let stream = response.bytes_stream().map_err(move |error| {
            state.remember(None);
            broken(&url, &error)
        });
        Ok(Opened { range, total_size, validator, stream: Box::pin(stream) })
    }

    /// Refuses a listing that names a file by the token: names become those of files, and are in every record.
    fn check_names(&self, manifest: &Manifest) -> Result<(), FetchError> {
        let Some(token) = self.http.token() else { return Ok(()) };
        if !manifest.files().iter().any(|file| token.is_in(file.path.as_str())) {
            return Ok(());
        }
        let hint = "renew the token, for the hub shows it to whom it sends this listing";
        Err(invalid(self.http.endpoint(), "a file that is listed has the token in its name").with_hint(hint))
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
        self.http.confine(hosts);
        // Where its storage is, and where that leads, only the hub and the storage know.
        #[cfg(feature = "xet")]
        if hosts.is_limited() {
            self.xet = None;
        }
        Ok(())
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let manifest = self.list(request).await.map_err(|error| self.http.redacted(error))?;
        self.check_names(&manifest)?;
        Ok(manifest)
    }

    async fn resolve_offline(&self, request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        let manifest = self.recall(request).await.map_err(|error| self.http.redacted(error))?;
        manifest.iter().try_for_each(|manifest| self.check_names(manifest))?;
        Ok(manifest)
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let opened = self.open_range(file, range).await.map_err(|error| self.http.redacted(error))?;
        let Some(token) = self.http.token().cloned() else { return Ok(opened) };
        let validator = opened.validator.filter(|validator| !token.is_in(validator));
        let stream = Box::pin(opened.stream.map_err(move |error| token.redact_error(error)));
        Ok(Opened { validator, stream, ..opened })
    }
}

/// The reference of a request, which is sound whatever the repository holds.
fn hub_of(request: &ResolveRequest) -> Result<&RepoRef, FetchError> {
    match &request.reference {
        ModelRef::Repo(hub) if hub.scheme() == SCHEME => check(hub).map(|()| hub),
        other => {
            let message = format!("`{other}` is no reference to the hub");
            Err(FetchError::new(FetchErrorKind::Unsupported, message))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes <first>-<last>/<size>` (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(ByteRange, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (start, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let end = last.checked_add(1).filter(|end| *end > start)?;
    Some((ByteRange { start, end: Some(end) }, total.parse().ok()))
}
