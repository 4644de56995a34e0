//! Streams large files from Xet, in which the Hub stores them.
//!
//! # Model
//! The listing names the Xet hash of a file. The hub gives a token for its storage, and says where that is. The fetcher asks the
//! storage of which chunks a range is made, and where these are (`storage`, `reconstruction`). It streams them from there,
//! mostly from a CDN (`terms`), and unpacks each as it comes (`chunks`). The storage sees a token of its own, and never the
//! hub's. The caller treats these bytes like those of plain HTTP: it hashes them, and compares the digest with the listing's.
//!
//! # Length of ranges
//! A range costs a request for its chunks, and one for each xorb that it touches: a xorb has up to 64 MiB. But ranges far ahead of
//! the hashed bytes may not begin yet, so where each connection is slow, long ones leave too few connections. So a range is as
//! long as what one connection brings in two seconds, within bounds (`ranges`). Where the fetcher knows that a xorb ends about there or
//! before, the range ends with it, so that two ranges rarely need parts of the same one: beside the bytes of some ranges, the
//! fetcher asks the storage where the next xorbs begin.
//!
//! # Giving up
//! Plain HTTP serves each file too, so no failure here is a failure of the file. After a range that does not complete, the
//! fetcher gives the file up: the caller goes on by plain HTTP, from the next byte, and does not ask Xet for that file again. The
//! same holds where the caller begins anew, at the first byte that it asked for or before: then the bytes from Xet may have been
//! wrong. After a few such files and no complete file between them, the fetcher gives the listing up, for each wait for the storage
//! costs time: a storage may serve the first range of each file, and then hang. It does so at once where the hub asks for a pause instead of giving the
//! token, or the storage asks for one: plain HTTP need not wait.
//! The same holds where the policy does not allow a host of the storage. A new listing makes a new start.

mod address;
mod chunks;
mod failure;
mod ranges;
mod reconstruction;
mod storage;
mod terms;

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use provisioner_core::{ByteRange, ByteStream, FetchError, FetchErrorKind, Opened, Pace};
use serde::Deserialize;
use source_http::{HttpClient, Url, invalid};
use tokio::time::Instant;

use self::{
    address::storage_address,
    failure::{is_of_listing, unavailable},
    ranges::{Boundaries, RangeLength},
    storage::{Storage, StoredFile},
};

/// How many seconds a token must be valid still to be used for another range.
const TOKEN_MARGIN: u64 = 300;

/// How many files of a listing may fail, without a complete one between them.
const MAX_FAILED_FILES: usize = 3;

/// Opens files in Xet.
pub(crate) struct Xet {
    timeout: Duration,
    range_length: Arc<RangeLength>,
}

/// Describes a file in the storage. It lives for as long as the manifest that lists it.
#[derive(Debug)]
pub(crate) struct XetFile {
    stored: Arc<StoredFile>,
    commit: Arc<XetCommit>,
    is_given_up: AtomicBool,
    /// How many bytes no complete range has had.
    left: AtomicU64,
    /// Where the first range began that the caller asked for.
    first_start: Mutex<Option<u64>>,
}

/// Holds what the files of one listing have in common.
pub(crate) struct XetCommit {
    /// Where the hub gives a token for the storage.
    token_address: Url,
    grant: tokio::sync::Mutex<Option<Grant>>,
    is_given_up: AtomicBool,
    /// How many files failed since one was complete.
    failed_files: AtomicUsize,
}

/// Tracks a range that is on its way. Dropped before its end, it gives the file up.
#[derive(Debug)]
struct Attempt {
    file: Arc<XetFile>,
    is_done: bool,
}

/// Holds the permission to read the files of a commit for a time.
struct Grant {
    storage: Arc<Storage>,
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
        Self { timeout, range_length: Arc::new(RangeLength::new()) }
    }

    /// Returns how long a range of a file is to be that begins here, in bytes.
    pub(crate) fn range_bytes(&self, file: &XetFile, start: u64) -> u64 {
        file.stored.boundaries.range_bytes(start, self.range_length.bytes())
    }

    /// Opens a file at a range that is not empty. Returns `None` where plain HTTP must serve the range.
    pub(crate) async fn open(
        &self,
        http: &HttpClient,
        file: &Arc<XetFile>,
        address: &str,
        range: Range<u64>,
    ) -> Option<Opened> {
        if file.is_given_up() {
            return None;
        }
        // The other half of the time is for plain HTTP.
        let stream = self.stream(http, file, range.clone());
        let stream = tokio::time::timeout(self.timeout / 2, stream).await;
        match stream.unwrap_or_else(|_| Err(unavailable("no bytes come"))) {
            Ok(None) => None,
            Ok(Some(stream)) => {
                let range = ByteRange { start: range.start, end: Some(range.end) };
                Some(Opened { range, total_size: Some(file.stored.size), validator: None, stream })
            }
            Err(error) => {
                let error = file.failed(error);
                tracing::debug!("{}; `{address}` is fetched by plain HTTP", http.redacted(error));
                None
            }
        }
    }

    /// Returns the bytes of a range once the first have arrived: only they show that the storage has it. Returns `None` where the
    /// file is given up, or the hub is to be left alone.
    async fn stream(
        &self,
        http: &HttpClient,
        file: &Arc<XetFile>,
        range: Range<u64>,
    ) -> Result<Option<ByteStream>, FetchError> {
        let Some(storage) = file.commit.storage(http).await? else { return Ok(None) };
        let Some(attempt) = XetFile::attempt(file, range.start) else { return Ok(None) };
        let bytes = storage.open(&file.stored, &range).await?;
        let mut bytes = watched(bytes, range.end - range.start, self.timeout, attempt, &self.range_length);
        let first = bytes.try_next().await?;
        Ok(Some(Box::pin(stream::iter(first.map(Ok)).chain(bytes))))
    }
}

impl XetFile {
    /// Notes that a listed file of so many bytes is in Xet, by its hash there.
    pub(crate) fn new(hash: String, size: u64, commit: &Arc<XetCommit>) -> Self {
        Self {
            stored: Arc::new(StoredFile { hash, size, boundaries: Boundaries::default() }),
            commit: Arc::clone(commit),
            is_given_up: AtomicBool::new(false),
            left: AtomicU64::new(size),
            first_start: Mutex::default(),
        }
    }

    /// Returns whether plain HTTP serves the rest of the file.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed) || self.commit.is_given_up.load(Ordering::Relaxed)
    }

    /// Begins a range. Returns `None` where the file is given up. A range that begins where the first one did, or before, gives it up.
    fn attempt(file: &Arc<Self>, start: u64) -> Option<Attempt> {
        let mut first = file.first_start.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_some_and(|first| start <= first) {
            file.is_given_up.store(true, Ordering::Relaxed);
        }
        first.get_or_insert(start);
        drop(first);
        (!file.is_given_up()).then(|| Attempt { file: Arc::clone(file), is_done: false })
    }

    /// Gives the file up after a failure, and returns the failure as one that plain HTTP makes up for at once.
    fn failed(&self, error: FetchError) -> FetchError {
        if is_of_listing(&error) {
            self.commit.is_given_up.store(true, Ordering::Relaxed);
        }
        self.fail();
        FetchError::new(FetchErrorKind::Unavailable, error.message)
    }

    /// Gives the file up after a range that did not complete. The listing counts each file once, however many of its ranges fail.
    fn fail(&self) {
        if !self.is_given_up.swap(true, Ordering::Relaxed) {
            self.commit.count_failed_file();
        }
    }
}

impl XetCommit {
    /// Begins the listing of a commit; the hub gives a token for it at an address.
    pub(crate) fn new(token_address: Url) -> Arc<Self> {
        Arc::new(Self {
            token_address,
            grant: tokio::sync::Mutex::default(),
            is_given_up: AtomicBool::new(false),
            failed_files: AtomicUsize::new(0),
        })
    }

    /// Returns the storage, with a token that is valid for a while. Returns `None` where the listing is given up. The same holds while
    /// the hub wants to be left alone: plain HTTP is told so too, and the file stays in Xet.
    async fn storage(&self, hub: &HttpClient) -> Result<Option<Arc<Storage>>, FetchError> {
        let mut grant = self.grant.lock().await;
        if let Some(grant) = grant.as_ref().filter(|grant| grant.ends > now() + TOKEN_MARGIN) {
            return Ok(Some(Arc::clone(&grant.storage)));
        }
        let address = &self.token_address;
        // Another file may have met a refusal while this one waited.
        if self.is_given_up.load(Ordering::Relaxed) || hub.is_paused(address) {
            return Ok(None);
        }
        let token: StorageToken = hub.optional_json(address.clone()).await?;
        let place = storage_address(hub.endpoint(), &token.cas_url).map_err(|what| invalid(address, what))?;
        let storage = Arc::new(Storage::new(hub, place, &token.access_token));
        *grant = Some(Grant { storage: Arc::clone(&storage), ends: token.exp });
        Ok(Some(storage))
    }

    fn count_failed_file(&self) {
        if self.failed_files.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_FAILED_FILES {
            self.is_given_up.store(true, Ordering::Relaxed);
        }
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

impl Attempt {
    /// Ends a range that is complete, of so many bytes. The caller asks for no byte twice unless it begins anew, so the last range leaves
    /// none.
    fn done(mut self, bytes: u64) {
        self.is_done = true;
        if self.file.left.fetch_sub(bytes, Ordering::Relaxed) == bytes {
            self.file.commit.failed_files.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_done {
            self.file.fail();
        }
    }
}

/// Passes pieces on for as long as they come fast enough. The stream fails unless they are as many bytes as they must be.
fn watched(
    pieces: ByteStream,
    length: u64,
    timeout: Duration,
    attempt: Attempt,
    range_length: &Arc<RangeLength>,
) -> ByteStream {
    struct Watch {
        pieces: ByteStream,
        left: u64,
        pace: Pace,
        waited: Duration,
        attempt: Attempt,
    }
    let watch = Watch { pieces, left: length, pace: Pace::new(timeout), waited: Duration::ZERO, attempt };
    let range_length = Arc::clone(range_length);
    Box::pin(stream::try_unfold(watch, move |mut watch| {
        let range_length = Arc::clone(&range_length);
        async move {
            let begin = Instant::now();
            let piece: Option<Bytes> =
                match tokio::time::timeout(watch.pace.patience(), watch.pieces.try_next()).await {
                    Err(_) => return Err(unavailable("too few bytes come")),
                    Ok(piece) => piece.map_err(|error| watch.attempt.file.failed(error))?,
                };
            let waited = begin.elapsed();
            watch.waited += waited;
            watch.pace.arrived(piece.as_ref().map_or(0, |piece| piece.len() as u64), waited);
            match piece {
                None if watch.left > 0 => Err(unavailable("the bytes end early")),
                None => {
                    range_length.learn(length, watch.waited);
                    watch.attempt.done(length);
                    Ok(None)
                }
                Some(piece) => match watch.left.checked_sub(piece.len() as u64) {
                    None => Err(unavailable("the storage sent more bytes than the request was for")),
                    Some(left) => {
                        watch.left = left;
                        Ok(Some((piece, watch)))
                    }
                },
            }
        }
    }))
}

/// Returns the time, in seconds since 1970.
fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a token of the server's ends in the real time")]
    let now = jiff::Timestamp::now();
    u64::try_from(now.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
