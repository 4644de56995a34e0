//! Large files through Xet, in which the Hub stores them.
//!
//! # Road
//! The listing names the Xet hash of a file. The hub gives a token for its storage, and says where that is; there the
//! bytes of any range are asked for. The token is asked for by our own client, so the storage never sees the hub's.
//! What arrives is taken like the bytes of any other road: hashed, and compared with the digest of the listing.
//!
//! # Giving up
//! Plain HTTP always leads to a file too, so no failure here is one of the file: it goes on by plain HTTP, from the next
//! byte, and is not asked of Xet again. So is a file of which the same bytes are asked for a second time, for then those that
//! Xet gave were not the right ones. A storage that gave nothing for several files in a row is left alone altogether, for
//! waiting for it costs time with each one. Listing files anew makes a new start.
//!
//! # What it costs
//! The client below has threads of its own, one for each processor and 32 at most, whatever runtime it is called from, and
//! holds up to [`BUFFER_BYTES`]. It makes empty folders, below one of ours in the system's folder for temporary files, and neither reads
//! nor writes in the user's home. It would send a summary of each transfer to the storage; it is told not to. All of it
//! is made when the first file is opened, and goes with the fetcher.

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
use reqwest::Url;
use serde::Deserialize;
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

use crate::{
    HubSettings,
    connections::{CONNECT, USER_AGENT},
    http::{Http, invalid, is_inside},
};

/// What the client below may hold of files that are on their way.
const BUFFER_BYTES: u64 = 128 << 20;

/// A token that ends sooner is not used for another range, in seconds.
const TOKEN_MARGIN: u64 = 300;

/// How many files in a row may be without a byte.
const MAX_BARREN: usize = 3;

/// How often the client below tries again. Its bytes come from many requests, so not every failure is the end of this road.
const RETRIES: usize = 2;
const PAUSE: Duration = Duration::from_millis(200);

/// The road through Xet.
pub(crate) struct Xet {
    timeout: Duration,
    /// How many ranges in a row were without a byte.
    barren: AtomicUsize,
    session: OnceCell<Session>,
}

/// Describes a file in the storage. It lives for as long as the manifest that lists it.
#[derive(Debug)]
pub(crate) struct XetFile {
    hash: String,
    commit: Arc<XetCommit>,
    road: Arc<Road>,
}

/// Holds what the files of one listing have in common.
pub(crate) struct XetCommit {
    /// Where a token for the storage is to be had.
    token_address: Url,
    grant: tokio::sync::Mutex<Option<Grant>>,
}

/// How it went with a file so far.
#[derive(Debug, Default)]
struct Road {
    is_given_up: AtomicBool,
    /// Where the ranges began that were asked for.
    starts: Mutex<HashSet<u64>>,
}

/// A range on its way. When it is dropped before its end, the file's road is given up.
#[derive(Debug)]
struct Attempt(Option<Arc<Road>>);

/// The client below.
struct Session {
    xet: XetSession,
    /// Goes with it.
    _folder: TempDir,
}

/// Leave to read the files of a commit, for a time.
struct Grant {
    storage: XetDownloadStreamGroup,
    /// In seconds since 1970.
    ends: u64,
}

/// What the hub says of its storage.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Leave {
    cas_url: String,
    access_token: String,
    exp: u64,
}

impl Xet {
    pub(crate) fn new(settings: &HubSettings) -> Self {
        Self { timeout: settings.timeout, barren: AtomicUsize::new(0), session: OnceCell::new() }
    }

    /// Begins the listing of a commit, of which a token is to be had at an address.
    pub(crate) fn list(&self, token_address: Url) -> Arc<XetCommit> {
        self.barren.store(0, Ordering::Relaxed);
        Arc::new(XetCommit { token_address, grant: tokio::sync::Mutex::default() })
    }

    /// Opens a file at a range that is not empty. `None` where it is not to be had from Xet.
    pub(crate) async fn open(
        &self,
        http: &Http,
        file: &XetFile,
        address: &str,
        size: u64,
        range: Range<u64>,
    ) -> Option<Opened> {
        if self.barren.load(Ordering::Relaxed) >= MAX_BARREN {
            return None;
        }
        if file.road.is_given_up.load(Ordering::Relaxed) {
            return None;
        }
        // Half of the time is left for the other road.
        let stream = self.stream(http, file, size, &range);
        let stream = tokio::time::timeout(self.timeout / 2, stream).await;
        match stream.unwrap_or_else(|_| Err(unavailable("no bytes come"))) {
            Ok(None) => None,
            Ok(Some(stream)) => {
                self.barren.store(0, Ordering::Relaxed);
                let range = ByteRange { start: range.start, end: Some(range.end) };
                Some(Opened { range, total_size: Some(size), validator: None, stream })
            }
            // The hub itself asks to be left alone: it says so on the other road too, and this one is as good as before.
            Err(error) if error.retry_after.is_some() => None,
            Err(error) => {
                file.road.give_up();
                self.barren.fetch_add(1, Ordering::Relaxed);
                tracing::debug!("{}; `{address}` is fetched by plain HTTP", http.redacted(error));
                None
            }
        }
    }

    /// The bytes of a range, of which the first have arrived: only they show that the storage has it. `None` where the road is
    /// given up.
    async fn stream(
        &self,
        http: &Http,
        file: &XetFile,
        size: u64,
        range: &Range<u64>,
    ) -> Result<Option<ByteStream>, FetchError> {
        let storage = self.storage(http, &file.commit).await?;
        let Some(attempt) = Road::attempt(&file.road, range.start) else { return Ok(None) };
        let info = XetFileInfo::new(file.hash.clone(), size);
        let opened =
            storage.download_stream(info, Some(range.clone())).await.map_err(|error| failed(&error))?;
        let pieces = stream::try_unfold(opened, |mut opened| async move {
            let piece = opened.next().await.map_err(|error| failed(&error))?;
            Ok(piece.map(|piece| (piece, opened)))
        });
        let mut pieces = watched(Box::pin(pieces), range.end - range.start, self.timeout, attempt);
        let first = pieces.try_next().await?;
        Ok(Some(Box::pin(stream::iter(first.map(Ok)).chain(pieces))))
    }

    /// The storage, with a token that is good for a while.
    async fn storage(&self, http: &Http, commit: &XetCommit) -> Result<XetDownloadStreamGroup, FetchError> {
        let token_address = &commit.token_address;
        let mut grant = commit.grant.lock().await;
        if let Some(grant) = grant.as_ref().filter(|grant| grant.ends > now() + TOKEN_MARGIN) {
            return Ok(grant.storage.clone());
        }
        let leave: Leave = http.json(token_address.clone()).await?;
        let place =
            storage_address(http.endpoint(), &leave.cas_url).map_err(|what| invalid(token_address, what))?;
        let session = self.session.get_or_try_init(|| Session::start(self.timeout)).await?;
        let group = session.xet.new_download_stream_group().map_err(|error| failed(&error))?;
        let agent = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static(USER_AGENT))]);
        let group = group
            // Paths are put behind it as it stands.
            .with_endpoint(place.as_str().trim_end_matches('/'))
            .with_token_info(leave.access_token, leave.exp)
            .with_custom_headers(agent);
        let storage = group.build().await.map_err(|error| failed(&error))?;
        *grant = Some(Grant { storage: storage.clone(), ends: leave.exp });
        Ok(storage)
    }
}

impl XetFile {
    /// Notes that a listed file is in Xet, by its hash there.
    pub(crate) fn new(hash: String, commit: &Arc<XetCommit>) -> Self {
        Self { hash, commit: Arc::clone(commit), road: Arc::default() }
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

impl Road {
    /// Takes the road for a range. `None` where it is given up, or leads there a second time.
    fn attempt(road: &Arc<Self>, start: u64) -> Option<Attempt> {
        let is_new = road.starts.lock().unwrap_or_else(PoisonError::into_inner).insert(start);
        if !is_new {
            road.give_up();
        }
        let is_open = !road.is_given_up.load(Ordering::Relaxed);
        is_open.then(|| Attempt(Some(Arc::clone(road))))
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
        if let Some(road) = &self.0 {
            road.give_up();
        }
    }
}

impl Session {
    /// Starts the client below, on a thread that is in no runtime: of one it would become a part, and end with it.
    async fn start(timeout: Duration) -> Result<Self, FetchError> {
        let (tell, told) = oneshot::channel();
        let start = move || {
            // Nobody may be waiting any more.
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
        config.client.connect_timeout = CONNECT.min(timeout);
        config.client.read_timeout = timeout;
        config.reconstruction.download_buffer_size = BUFFER_BYTES.into();
        config.reconstruction.download_buffer_perfile_size = 0.into();
        config.reconstruction.download_buffer_limit = BUFFER_BYTES.into();
        let folder = tempfile::Builder::new().prefix("model-provisioner-xet-").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        let builder = XetSessionBuilder::new_with_config(config).with_cache_dir(folder.path());
        let xet = builder.build().map_err(|error| reason(&error).to_owned())?;
        Ok(Self { xet, _folder: folder })
    }
}

/// Passes pieces on for as long as they come fast enough, and are as many bytes as they must be.
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
                None => Err(unavailable("more bytes came than were asked for")),
                Some(left) => Ok(Some((piece, (pieces, left, pace, attempt)))),
            },
        }
    };
    Box::pin(stream::try_unfold((pieces, length, Pace::new(timeout), attempt), next))
}

/// The storage's address, which is as secure as the hub's, and inside of a network only where the hub is. The client below takes other schemes too, some for files on this
/// machine.
fn storage_address(hub: &Url, text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "its storage has no address")?;
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && hub.scheme() == "http");
    if !is_secure {
        return Err("its storage is not at an https: address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its storage has an address with credentials");
    }
    // As for redirects. With a policy that names hosts, nobody comes here.
    if is_inside(&url) && !is_inside(hub) {
        return Err("its storage has an address inside of a network");
    }
    Ok(url)
}

/// A failure of the client below.
fn failed(error: &XetError) -> FetchError {
    unavailable(reason(error))
}

/// A failure of this road. The file may be had all the same.
fn unavailable(what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Unavailable, format!("Xet: {what}"))
}

/// What kind of failure: the client's own text may hold an address with a signature.
fn reason(error: &XetError) -> &'static str {
    match error {
        XetError::Authentication(_) => "the token is refused",
        XetError::Network(_) => "the storage cannot be reached",
        XetError::RateLimited(_) => "the storage asks to be left alone",
        XetError::ServerError(_) => "the storage fails",
        XetError::Timeout(_) => "the storage is silent",
        XetError::NotFound(_) => "the storage does not have it",
        XetError::DataIntegrity(_) => "what came is damaged",
        XetError::Io(_) => "a file on this machine could not be used",
        XetError::Cancelled(_) | XetError::UserCancelled(_) | XetError::KeyboardInterrupt => {
            "it was cancelled"
        }
        _ => "its client failed",
    }
}

/// In seconds since 1970.
fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a token of the server's ends in the real time")]
    let now = jiff::Timestamp::now();
    u64::try_from(now.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
