//! Streams large files from Xet, in which the Hub stores them.
//!
//! # Model
//! The listing names the Xet hash of a file. The hub gives a token for its storage, and says where that is; there Xet's
//! client asks for the bytes of any range. Our own client asks for the token, so the storage never sees the hub's.
//! The caller treats these bytes like those of plain HTTP: it hashes them, and compares the digest with the listing's.
//!
//! # Giving up
//! Plain HTTP serves each file too, so no failure here is a failure of the file. After a failure the fetcher gives the
//! file's state up: the caller goes on by plain HTTP, from the next byte, and does not ask Xet for that file again. The
//! same holds where the caller asks for the same bytes a second time, for then the bytes from Xet were wrong. After a few
//! ranges in a row without a byte, the fetcher does not ask the storage at all, for each wait for it costs time. A new
//! listing makes a new start.
//!
//! # What it costs
//! Xet's client has threads of its own, one for each processor and 32 at most, whichever runtime calls it. What it holds of files
//! that are on their way is bounded: `stretches` says how. It makes empty folders, below one of ours in the system's folder for
//! temporary files, and neither reads nor writes in the user's home. By default it sends a summary of each transfer to the storage; the fetcher turns
//! that off. The first file that the fetcher opens starts all of it, and it ends with the fetcher.

mod failure;
mod stretches;

use std::{
    collections::HashSet,
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use provisioner_core::{ByteRange, ByteStream, FetchError, FetchErrorKind, Opened, Pace};
use serde::Deserialize;
use source_http::{CONNECT_TIMEOUT, HttpClient, USER_AGENT, Url, invalid, is_inner};
use tempfile::TempDir;
use tokio::{
    sync::{OnceCell, oneshot},
    time::Instant,
};
use xet::{
    XetError,
    xet_session::{
        HeaderMap, HeaderValue, XetConfig, XetDownloadStreamGroup, XetFileInfo, XetSession,
        XetSessionBuilder, header,
    },
};

use self::{
    failure::{reason, unavailable},
    stretches::{MEMORY, Share, Stretches},
};

/// How long the ranges of a file are to be, in bytes: several stretches, of which the next ones arrive while the caller writes the
/// first.
pub(crate) const RANGE_BYTES: u64 = 64 << 20;

/// How many connections Xet's client begins with. It adds more where that helps.
const CONNECTIONS: usize = 12;

/// How many seconds a token must be valid still to be used for another range.
const TOKEN_MARGIN: u64 = 300;

/// How many ranges in a row may bring no byte.
const MAX_EMPTY_RANGES: usize = 3;

/// How often Xet's client tries again. Its bytes come from many requests, so not each failure is a reason to give the file up.
const RETRIES: usize = 2;
const PAUSE: Duration = Duration::from_millis(200);

/// Opens files in Xet.
pub(crate) struct Xet {
    timeout: Duration,
    /// How many ranges in a row brought no byte.
    empty_ranges: AtomicUsize,
    session: OnceCell<Session>,
    stretches: Arc<Stretches>,
}

/// Describes a file in the storage. It lives for as long as the manifest that lists it.
#[derive(Debug)]
pub(crate) struct XetFile {
    hash: String,
    commit: Arc<XetCommit>,
    state: Arc<XetFileState>,
}

/// Holds what the files of one listing have in common.
pub(crate) struct XetCommit {
    /// Where the hub gives a token for the storage.
    token_address: Url,
    grant: tokio::sync::Mutex<Option<Grant>>,
}

/// Tracks whether a file still comes from Xet.
#[derive(Debug, Default)]
struct XetFileState {
    is_given_up: AtomicBool,
    /// Where the ranges begin that the caller asked for so far.
    starts: Mutex<HashSet<u64>>,
}

/// Tracks a range that is on its way. Dropped before its end, it gives the file up.
#[derive(Debug)]
struct Attempt(Option<Arc<XetFileState>>);

/// Holds Xet's client.
struct Session {
    xet: XetSession,
    /// The client's empty folders, which are removed with it.
    _folder: TempDir,
}

/// Holds the permission to read the files of a commit for a time.
struct Grant {
    storage: XetDownloadStreamGroup,
    /// In seconds since 1970.
    ends: u64,
}

/// Holds the hub's answer to a request for a token: where the storage is, and the token for it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StorageToken {
    cas_url: String,
    access_token: String,
    exp: u64,
}

impl Xet {
    pub(crate) fn new(timeout: Duration) -> Self {
        let (empty_ranges, session) = (AtomicUsize::new(0), OnceCell::new());
        Self { timeout, empty_ranges, session, stretches: Stretches::new() }
    }

    /// Begins the listing of a commit; the hub gives a token for it at an address.
    pub(crate) fn list(&self, token_address: Url) -> Arc<XetCommit> {
        self.empty_ranges.store(0, Ordering::Relaxed);
        Arc::new(XetCommit { token_address, grant: tokio::sync::Mutex::default() })
    }

    /// Opens a file at a range that is not empty. Returns `None` where plain HTTP must serve the range.
    pub(crate) async fn open(
        &self,
        http: &HttpClient,
        file: &XetFile,
        address: &str,
        size: u64,
        range: Range<u64>,
    ) -> Option<Opened> {
        if self.empty_ranges.load(Ordering::Relaxed) >= MAX_EMPTY_RANGES {
            return None;
        }
        if file.is_given_up() {
            return None;
        }
        let mut rest = range.clone();
        // The other half of the time is for plain HTTP. Where other ranges hold the memory for as long, plain HTTP serves this one.
        let first = tokio::time::timeout(self.timeout / 2, self.stretches.first(&mut rest)).await.ok()?;
        let stream = self.stream(http, file, size, first, rest);
        let stream = tokio::time::timeout(self.timeout / 2, stream).await;
        match stream.unwrap_or_else(|_| Err(unavailable("no bytes come"))) {
            Ok(None) => None,
            Ok(Some(stream)) => {
                self.empty_ranges.store(0, Ordering::Relaxed);
                let range = ByteRange { start: range.start, end: Some(range.end) };
                Some(Opened { range, total_size: Some(size), validator: None, stream })
            }
            // The hub itself asks for a pause. It says so by plain HTTP too, and the file stays in Xet.
            Err(error) if error.retry_after.is_some() => None,
            Err(error) => {
                file.state.give_up();
                self.empty_ranges.fetch_add(1, Ordering::Relaxed);
                tracing::debug!("{}; `{address}` is fetched by plain HTTP", http.redacted(error));
                None
            }
        }
    }

    /// Returns the bytes of a range, of which the first stretch has its share of the memory, once the first have arrived: only they
    /// show that the storage has it. Returns `None` where the file is given up.
    async fn stream(
        &self,
        http: &HttpClient,
        file: &XetFile,
        size: u64,
        first: (Range<u64>, Share),
        rest: Range<u64>,
    ) -> Result<Option<ByteStream>, FetchError> {
        let storage = self.storage(http, &file.commit).await?;
        let Some(attempt) = XetFileState::attempt(&file.state, first.0.start) else { return Ok(None) };
        let (info, length) = (XetFileInfo::new(file.hash.clone(), size), rest.end - first.0.start);
        let open = move |stretch| opened(storage.clone(), info.clone(), stretch);
        let mut pieces = watched(stretches::fetch(first, rest, open), length, self.timeout, attempt);
        let first = pieces.try_next().await?;
        Ok(Some(Box::pin(stream::iter(first.map(Ok)).chain(pieces))))
    }

    /// Returns the storage, with a token that is valid for a while.
    async fn storage(
        &self,
        http: &HttpClient,
        commit: &XetCommit,
    ) -> Result<XetDownloadStreamGroup, FetchError> {
        let token_address = &commit.token_address;
        let mut grant = commit.grant.lock().await;
        if let Some(grant) = grant.as_ref().filter(|grant| grant.ends > now() + TOKEN_MARGIN) {
            return Ok(grant.storage.clone());
        }
        let token: StorageToken = http.json(token_address.clone()).await?;
        let place =
            storage_address(http.endpoint(), &token.cas_url).map_err(|what| invalid(token_address, what))?;
        // Xet's client resolves the name again. This look catches a name that leads inside of a network now.
        http.check_address(&place).await?;
        let session = self.session.get_or_try_init(|| Session::start(self.timeout)).await?;
        let group = session.xet.new_download_stream_group().map_err(|error| failed(&error))?;
        let agent = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static(USER_AGENT))]);
        let group = group
            // Paths are put behind it as it stands.
            .with_endpoint(place.as_str().trim_end_matches('/'))
            .with_token_info(token.access_token, token.exp)
            .with_custom_headers(agent);
        let storage = group.build().await.map_err(|error| failed(&error))?;
        *grant = Some(Grant { storage: storage.clone(), ends: token.exp });
        Ok(storage)
    }
}

impl XetFile {
    /// Notes that a listed file is in Xet, by its hash there.
    pub(crate) fn new(hash: String, commit: &Arc<XetCommit>) -> Self {
        Self { hash, commit: Arc::clone(commit), state: Arc::default() }
    }

    /// Returns whether plain HTTP serves the rest of the file.
    pub(crate) fn is_given_up(&self) -> bool {
        self.state.is_given_up.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for XetCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XetCommit").finish_non_exhaustive()
    }
}

impl fmt::Debug for Xet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Xet").finish_non_exhaustive()
    }
}

impl XetFileState {
    /// Begins a range. Returns `None` where the file is given up; a range that begins a second time gives it up.
    fn attempt(state: &Arc<Self>, start: u64) -> Option<Attempt> {
        let is_new = state.starts.lock().unwrap_or_else(PoisonError::into_inner).insert(start);
        if !is_new {
            state.give_up();
        }
        let is_open = !state.is_given_up.load(Ordering::Relaxed);
        is_open.then(|| Attempt(Some(Arc::clone(state))))
    }

    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }
}

impl Attempt {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(state) = &self.0 {
            state.give_up();
        }
    }
}

impl Session {
    /// Starts Xet's client on a thread outside of any runtime: it becomes a part of the runtime that starts it, and ends with
    /// that.
    async fn start(timeout: Duration) -> Result<Self, FetchError> {
        let (tell, told) = oneshot::channel();
        let start = move || {
            // The caller may have been dropped.
            let _ = tell.send(Self::start_here(timeout));
        };
        let broken =
            |what: String| FetchError::new(FetchErrorKind::Storage, format!("Xet did not start: {what}"));
        thread::Builder::new()
            .name("xet-start".to_owned())
            .spawn(start)
            .map_err(|error| broken(error.to_string()))?;
        told.await.map_err(|error| broken(error.to_string()))?.map_err(broken)
    }

    fn start_here(timeout: Duration) -> Result<Self, String> {
        // The defaults, and not `new()`, which asks the environment.
        let mut config = XetConfig::default();
        config.telemetry.enabled = false;
        config.client.retry_max_attempts = RETRIES;
        config.client.retry_base_delay = PAUSE;
        config.client.connect_timeout = CONNECT_TIMEOUT.min(timeout);
        config.client.read_timeout = timeout;
        config.client.ac_initial_download_concurrency = CONNECTIONS;
        // The stretches keep to the same bound.
        config.reconstruction.download_buffer_size = MEMORY.into();
        config.reconstruction.download_buffer_perfile_size = 0.into();
        config.reconstruction.download_buffer_limit = MEMORY.into();
        let folder = tempfile::Builder::new().prefix("model-provisioner-xet-").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        let builder = XetSessionBuilder::new_with_config(config).with_cache_dir(folder.path());
        let xet = builder.build().map_err(|error| reason(&error).to_owned())?;
        Ok(Self { xet, _folder: folder })
    }
}

/// Opens a stretch of a file at the storage.
async fn opened(
    storage: XetDownloadStreamGroup,
    info: XetFileInfo,
    stretch: Range<u64>,
) -> Result<ByteStream, FetchError> {
    let opened = storage.download_stream(info, Some(stretch)).await.map_err(|error| failed(&error))?;
    Ok(Box::pin(stream::try_unfold(opened, |mut opened| async move {
        let piece = opened.next().await.map_err(|error| failed(&error))?;
        Ok(piece.map(|piece| (piece, opened)))
    })))
}

/// Passes pieces on for as long as they come fast enough. The stream fails unless they are as many bytes as they must be.
fn watched(pieces: ByteStream, length: u64, timeout: Duration, attempt: Attempt) -> ByteStream {
    let next = move |(mut pieces, left, mut pace, attempt): (ByteStream, u64, Pace, Attempt)| async move {
        let begin = Instant::now();
        let piece: Option<Bytes> = match tokio::time::timeout(pace.patience(), pieces.next()).await {
            Err(_) => return Err(unavailable("too few bytes come")),
            Ok(piece) => piece.transpose()?,
        };
        pace.arrived(piece.as_ref().map_or(0, |piece| piece.len() as u64), begin.elapsed());
        match piece {
            None if left > 0 => Err(unavailable("the bytes end early")),
            None => {
                attempt.done();
                Ok(None)
            }
            Some(piece) => match left.checked_sub(piece.len() as u64) {
                None => Err(unavailable("the storage sent more bytes than the request was for")),
                Some(left) => Ok(Some((piece, (pieces, left, pace, attempt)))),
            },
        }
    };
    Box::pin(stream::try_unfold((pieces, length, Pace::new(timeout), attempt), next))
}

/// Returns the storage's address, which is as secure as the hub's, and inside of a network only where the hub is. Xet's client
/// accepts other schemes too, some for files on this machine.
fn storage_address(hub: &Url, text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "its storage has no address")?;
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && hub.scheme() == "http");
    if !is_secure {
        return Err("its storage is not at an https: address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its storage has an address with credentials");
    }
    // As for redirects. A policy that names hosts turns Xet off.
    if is_inner(&url) && !is_inner(hub) {
        return Err("its storage has an address inside of a network");
    }
    Ok(url)
}

/// Returns the error of a failure of Xet's client.
fn failed(error: &XetError) -> FetchError {
    unavailable(reason(error))
}

/// Returns the time, in seconds since 1970.
fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a token of the server's ends in the real time")]
    let now = jiff::Timestamp::now();
    u64::try_from(now.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
