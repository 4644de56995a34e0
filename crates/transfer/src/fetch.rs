//! Fetches one file into a folder: the chunks that are missing, over several connections.

use std::{
    any::Any,
    collections::VecDeque,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, TryStreamExt, stream::FuturesUnordered};
use provisioner_core::{
    ByteRange, ByteStream, ContentDigests, Digest, DigestAlgorithm, ManifestFile, ModelFetcher, Opened,
    ProgressSink,
};
use tokio::{sync::watch, time::timeout};

use crate::{
    blocking::blocking,
    body::Body,
    context::Context,
    error::{Error, Result},
    hashing::{Follower, follow},
    journal::JournalHeader,
    progress::FileProgress,
    retry_budget::RetryBudget,
    sink::Sink,
    writer::{WRITE_BYTES, Writer},
};

/// Which part of a chunk a connection must bring to renew the budget of retries: 64 KiB of 16 MiB. Otherwise a transfer
/// would ask a source that gives a byte at a time for ever.
const RENEWING_PART: u64 = 256;

/// Says where a file's bytes go.
#[derive(Debug)]
pub struct Place {
    /// The file of the bytes.
    pub data: PathBuf,
    /// The file that says which bytes are there.
    pub journal: PathBuf,
    /// The lock that keeps other processes from the two. The last write drops it.
    pub guard: Arc<dyn Any + Send + Sync>,
}

/// Holds the digests of a file that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// The git blob id of its bytes, where its source gives one.
    pub git_sha1: Option<Digest>,
}

/// Fetches one file. [`Transfer::fetch`](crate::Transfer::fetch) says more.
pub(crate) async fn fetch(
    context: &Context,
    fetcher: &dyn ModelFetcher,
    id: &str,
    file: &ManifestFile,
    place: Place,
    progress: &dyn ProgressSink,
) -> Result<Fetched> {
    let header = JournalHeader {
        size: file.size,
        digest: file.digest.as_ref().map(ToString::to_string),
        validator: None,
        boot: String::new(),
    };
    let Place { data, journal, guard } = place;
    let (sink, header) = blocking(move || Sink::open(&data, &journal, &header, guard)).await?;
    // Bytes that this call did not fetch may be the wrong ones.
    let is_resumed = sink.len() > 0;
    let fetch = Fetch {
        context,
        fetcher,
        file,
        progress: FileProgress::start(progress, id, file, sink.len()),
        sink: Arc::new(sink),
        header: Mutex::new(header),
        no_ranges: AtomicBool::new(false),
    };
    match fetch.once().await {
        Err(error @ (Error::Changed { .. } | Error::Mismatch { .. }))
            if context.is_one_of_several && !is_resumed =>
        {
            fetch.restart(None).await?;
            return Err(error);
        }
        Err(error @ (Error::Changed { .. } | Error::Mismatch { .. })) => {
            tracing::warn!("{error}; it is fetched once more");
            fetch.restart(None).await?;
        }
        done => return done,
    }
    match fetch.once().await {
        Err(error @ (Error::Changed { .. } | Error::Mismatch { .. })) => {
            fetch.restart(None).await?;
            Err(error)
        }
        done => done,
    }
}

/// Holds the work on one file.
struct Fetch<'a> {
    context: &'a Context,
    fetcher: &'a dyn ModelFetcher,
    file: &'a ManifestFile,
    sink: Arc<Sink>,
    header: Mutex<JournalHeader>,
    /// Whether the server sends the whole file, whichever range a request asks for.
    no_ranges: AtomicBool,
    progress: FileProgress<'a>,
}

impl Fetch<'_> {
    /// Fetches the missing bytes, and compares the digest of all.
    async fn once(&self) -> Result<Fetched> {
        self.progress.show(self.sink.len());
        let (told, hashed) = watch::channel(0);
        let follow = self.follower(told);
        // A file of one write is hashed once it is there: a thread that follows would cost more than the hashing. A file
        // beyond the window would wait for its hashing.
        let is_small = self.file.size <= self.context.settings.window_bytes.min(WRITE_BYTES as u64);
        let digests = if is_small {
            self.fetch_missing(&hashed).await?;
            blocking(follow).await
        } else {
            let follower = Follower::start(&self.sink, follow)?;
            self.fetch_missing(&hashed).await?;
            follower.finish().await
        };
        let digests = digests?.ok_or_else(|| self.answer("the bytes end early", true))?;
        self.compare(&digests)?;
        Ok(Fetched { sha256: digests.sha256, git_sha1: digests.git_sha1 })
    }

    /// Returns the work of hashing this attempt's bytes.
    fn follower(
        &self,
        told: watch::Sender<u64>,
    ) -> impl FnOnce() -> Result<Option<ContentDigests>> + Send + 'static {
        let (sink, epoch, size) = (Arc::clone(&self.sink), self.sink.epoch(), self.file.size);
        let digest = self.file.digest.as_ref();
        let git_ids = digest.is_some_and(|digest| digest.algorithm() == DigestAlgorithm::GitSha1);
        move || follow(&sink, epoch, size, git_ids, &told)
    }

    /// Fetches the missing chunks: the first one alone, for it shows what the server can do; then several at once.
    async fn fetch_missing(&self, hashed: &watch::Receiver<u64>) -> Result<()> {
        let chunk_bytes = self.context.settings.chunk_bytes.max(1);
        let mut chunks: VecDeque<_> = self.sink.missing(self.file.size, chunk_bytes).into();
        let Some(first) = chunks.pop_front() else { return Ok(()) };
        self.fetch_chunk(first, true, chunks.is_empty()).await?;
        if self.no_ranges.load(Ordering::Relaxed) {
            return Ok(());
        }
        let chunks = Mutex::new(chunks);
        let workers = FuturesUnordered::new();
        for _ in 0..self.context.settings.connections.max(1) {
            workers.push(self.work(&chunks, hashed.clone()).boxed());
        }
        workers.try_collect().await
    }

    /// Fetches chunks until none is left.
    async fn work(&self, chunks: &Mutex<VecDeque<Range<u64>>>, hashed: watch::Receiver<u64>) -> Result<()> {
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        while let Some(chunk) = next() {
            self.wait_for_window(&chunk, hashed.clone()).await;
            self.fetch_chunk(chunk, false, false).await?;
        }
        Ok(())
    }

    /// Waits until a chunk begins within the window. A follower that has ended lets all connections go on: its own error is
    /// the one that the caller gets.
    async fn wait_for_window(&self, chunk: &Range<u64>, mut hashed: watch::Receiver<u64>) {
        let window = self.context.settings.window_bytes;
        let _ = hashed.wait_for(|hashed| chunk.start < hashed.saturating_add(window)).await;
    }

    /// Fetches one chunk, and tries again for as long as the budget lasts. The first chunk of all may turn out to be the whole
    /// file.
    async fn fetch_chunk(&self, chunk: Range<u64>, is_first: bool, is_only: bool) -> Result<()> {
        let mut budget = RetryBudget::new(self.context, self.progress.id, self.progress.sink);
        let mut at = chunk.start;
        let worth = (self.context.settings.chunk_bytes / RENEWING_PART).max(1);
        loop {
            let before = at;
            let Err(error) = self.stream(&chunk, &mut at, is_first, is_only).await else { return Ok(()) };
            if at - before >= worth {
                budget.renew();
            }
            budget.wait_out(error).await?;
        }
    }

    /// Fetches the bytes of a chunk from `at` on, over one connection, as far as they come.
    async fn stream(&self, chunk: &Range<u64>, at: &mut u64, is_first: bool, is_only: bool) -> Result<()> {
        let stall = self.context.settings.stall;
        let _permit = self.context.connections.acquire().await;
        // A request for a whole file names no range: more servers serve a small one that way.
        let is_whole = self.no_ranges.load(Ordering::Relaxed) || (is_only && *at == 0);
        let range = if is_whole { ByteRange::ALL } else { ByteRange { start: *at, end: Some(chunk.end) } };
        let opened = timeout(stall, self.fetcher.open(self.file, range)).await;
        let opened = opened.map_err(|_| self.stalled(stall))?.map_err(Error::Source)?;
        let keeps_to_range = self.check(&opened, *at..chunk.end)?;
        if !keeps_to_range {
            if !is_first {
                return Err(self.answer("the server forgot how to serve ranges", true));
            }
            self.no_ranges.store(true, Ordering::Relaxed);
        }
        // A server without ranges sends all; the connection passes over what is here already.
        let (skip, end) = if keeps_to_range { (0, chunk.end) } else { (*at, self.file.size) };
        let mut writer = Writer::new(&self.sink, *at);
        let taken = self.receive(opened.stream, skip, end, &mut writer).await;
        writer.flush().await?;
        self.progress.show(self.sink.len());
        *at = writer.end();
        taken?;
        if *at < end { Err(self.answer("the bytes end early", true)) } else { Ok(()) }
    }

    /// Writes the bytes of a stream, without the first `skip`, and not beyond `end`.
    async fn receive(&self, stream: ByteStream, skip: u64, end: u64, writer: &mut Writer<'_>) -> Result<()> {
        let mut body = Body::new(self.file, stream, self.context.settings.stall);
        let mut skip = skip;
        while let Some(mut piece) = body.next().await? {
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= passed as u64;
            let piece = piece.split_off(passed);
            if writer.end() + piece.len() as u64 > end {
                return Err(self.answer("the source sent more bytes than the request was for", false));
            }
            self.context.rate.pay(piece.len() as u64).await;
            if writer.push(piece).await? {
                self.progress.show(self.sink.len());
            }
        }
        Ok(())
    }

    /// Returns whether an answer keeps to the range of the request. Otherwise it is the whole file, or an error.
    fn check(&self, opened: &Opened, asked: Range<u64>) -> Result<bool> {
        let size = self.file.size;
        if let Some(total) = opened.total_size.filter(|total| *total != size) {
            return Err(self.answer(&format!("it has {total} bytes, and its listing says {size}"), false));
        }
        self.check_validator(opened.validator.as_deref())?;
        let answered = opened.range.start..opened.range.end.unwrap_or(size);
        if answered == asked {
            return Ok(true);
        }
        if answered == (0..size) {
            return Ok(false);
        }
        let what = format!("the request was for bytes {asked:?}, and the answer has {answered:?}");
        Err(self.answer(&what, false))
    }

    /// Returns an error where an answer is of another state of the file than the bytes that are here.
    fn check_validator(&self, validator: Option<&str>) -> Result<()> {
        let Some(validator) = validator else { return Ok(()) };
        let mut header = self.header.lock().unwrap_or_else(PoisonError::into_inner);
        match &header.validator {
            Some(known) if known != validator => Err(Error::Changed { path: self.file.path.to_string() }),
            Some(_) => Ok(()),
            None => {
                header.validator = Some(validator.to_owned());
                self.sink.identify(validator)
            }
        }
    }

    /// Returns an error where the bytes have another digest than the source gives.
    fn compare(&self, digests: &ContentDigests) -> Result<()> {
        let Some(expected) = &self.file.digest else { return Ok(()) };
        let actual = match expected.algorithm() {
            DigestAlgorithm::GitSha1 => digests.git_sha1.as_ref(),
            DigestAlgorithm::Sha256 | DigestAlgorithm::Sha256Tree => Some(&digests.sha256),
        };
        match actual {
            Some(actual) if actual != expected => {
                let (path, expected, actual) = (self.file.path.to_string(), expected.clone(), actual.clone());
                Err(Error::Mismatch { path, expected, actual })
            }
            _ => Ok(()),
        }
    }

    /// Drops all bytes, and begins with the state of the file that `validator` names.
    async fn restart(&self, validator: Option<String>) -> Result<()> {
        let header = {
            let mut header = self.header.lock().unwrap_or_else(PoisonError::into_inner);
            header.validator = validator;
            header.clone()
        };
        let sink = Arc::clone(&self.sink);
        blocking(move || sink.restart(&header)).await
    }

    fn answer(&self, what: &str, may_pass: bool) -> Error {
        Error::Answer { path: self.file.path.to_string(), what: what.to_owned(), may_pass }
    }

    fn stalled(&self, after: Duration) -> Error {
        Error::Stalled { path: self.file.path.to_string(), after }
    }
}

#[cfg(test)]
mod tests;
