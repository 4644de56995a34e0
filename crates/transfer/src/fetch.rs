//! One file, from its fetcher into a folder.

use std::{
    any::Any,
    collections::VecDeque,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, TryStreamExt, stream::FuturesUnordered};
use provisioner_core::{
    ByteRange, ByteStream, ContentDigests, Digest, DigestAlgorithm, ManifestFile, ModelFetcher, Opened,
    ProgressEvent, ProgressSink,
};
use tokio::{
    sync::{Semaphore, oneshot, watch},
    time::timeout,
};

use crate::{
    Error, Result, Settings, blocking,
    body::Body,
    hashing::follow,
    journal::JournalHeader,
    pause::Pauses,
    rate::Rate,
    retry::RetryBudget,
    sink::{Epoch, Sink},
    writer::{WRITE_BYTES, Writer},
};

/// Which part of a chunk a connection must bring to be worth another full budget of retries: 64 KiB of 16 MiB. A source
/// that gives a byte at a time would be asked for ever.
const WORTH_PATIENCE: u64 = 256;

/// Brings files. Clones share the connections and the rate.
#[derive(Clone, Debug)]
pub struct Transfer {
    settings: Settings,
    connections: Arc<Semaphore>,
    rate: Arc<Rate>,
    pauses: Arc<Pauses>,
}

/// Where a file's bytes go.
#[derive(Debug)]
pub struct Place {
    /// The file of the bytes.
    pub data: PathBuf,
    /// The file that says which bytes are there.
    pub journal: PathBuf,
    /// What keeps others from the two; it is held until the last write is done.
    pub guard: Arc<dyn Any + Send + Sync>,
}

/// A file that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// The git blob id of its bytes, where its source gives one.
    pub git_sha1: Option<Digest>,
}

impl Transfer {
    /// A transfer with these settings.
    pub fn new(settings: Settings) -> Self {
        let connections = Arc::new(Semaphore::new(settings.connections.max(1)));
        let rate = Arc::new(Rate::new(settings.bytes_per_second));
        Self { settings, connections, rate, pauses: Arc::default() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// Brings one file of the model `id`, and returns the digests of its bytes. Bytes that do not have the digest which
    /// the source gives are dropped and fetched once more; so is a file that changes meanwhile.
    ///
    /// The bytes are written, and not synced.
    ///
    /// # Errors
    /// [`Error`] says which side failed. What has arrived is kept for the next time, unless it was wrong.
    pub async fn fetch(
        &self,
        fetcher: &dyn ModelFetcher,
        id: &str,
        file: &ManifestFile,
        place: Place,
        progress: &dyn ProgressSink,
    ) -> Result<Fetched> {
        let subject = JournalHeader {
            size: file.size,
            digest: file.digest.as_ref().map(ToString::to_string),
            validator: None,
            boot: String::new(),
        };
        let Place { data, journal, guard } = place;
        let (sink, subject) = blocking(move || Sink::open(&data, &journal, &subject, guard)).await?;
        let progress = Shown::start(progress, id, file, sink.len());
        let fetch = Fetch {
            transfer: self,
            fetcher,
            file,
            sink: Arc::new(sink),
            subject: Mutex::new(subject),
            no_ranges: AtomicBool::new(false),
            progress,
        };
        match fetch.once().await {
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
}

/// The work on one file.
struct Fetch<'a> {
    transfer: &'a Transfer,
    fetcher: &'a dyn ModelFetcher,
    file: &'a ManifestFile,
    sink: Arc<Sink>,
    subject: Mutex<JournalHeader>,
    /// The server sends everything, whatever is asked for.
    no_ranges: AtomicBool,
    progress: Shown<'a>,
}

impl Fetch<'_> {
    async fn once(&self) -> Result<Fetched> {
        self.progress.show(self.sink.len());
        let (told, hashed) = watch::channel(0);
        let follow = self.follower(told);
        // A file of one write is hashed once it is there: a thread that follows would cost more than the hashing. Beyond
        // the window it would be waited for.
        let is_small = self.file.size <= self.transfer.settings.window_bytes.min(WRITE_BYTES as u64);
        let digests = if is_small {
            self.bring_all(&hashed).await?;
            blocking(follow).await
        } else {
            let follower = Follower::start(&self.sink, follow)?;
            self.bring_all(&hashed).await?;
            follower.finish().await
        };
        let digests = digests?.ok_or_else(|| self.answer("the bytes end early", true))?;
        self.compare(&digests)?;
        Ok(Fetched { sha256: digests.sha256, git_sha1: digests.git_sha1 })
    }

    /// The work of hashing this attempt's bytes.
    fn follower(
        &self,
        told: watch::Sender<u64>,
    ) -> impl FnOnce() -> Result<Option<ContentDigests>> + Send + 'static {
        let (sink, epoch, size) = (Arc::clone(&self.sink), self.sink.epoch(), self.file.size);
        let digest = self.file.digest.as_ref();
        let git_ids = digest.is_some_and(|digest| digest.algorithm() == DigestAlgorithm::GitSha1);
        move || follow(&sink, epoch, size, git_ids, &told)
    }

    /// Brings what is missing: the first chunk alone, for it shows what the server can do; then several at once.
    async fn bring_all(&self, hashed: &watch::Receiver<u64>) -> Result<()> {
        let chunk_bytes = self.transfer.settings.chunk_bytes.max(1);
        let mut chunks: VecDeque<_> = self.sink.missing(self.file.size, chunk_bytes).into();
        let Some(first) = chunks.pop_front() else { return Ok(()) };
        self.bring(first, true, chunks.is_empty()).await?;
        if self.no_ranges.load(Ordering::Relaxed) {
            return Ok(());
        }
        let chunks = Mutex::new(chunks);
        let workers = FuturesUnordered::new();
        for _ in 0..self.transfer.settings.connections.max(1) {
            workers.push(self.work(&chunks, hashed.clone()).boxed());
        }
        workers.try_collect().await
    }

    /// Brings chunks until there are none left.
    async fn work(&self, chunks: &Mutex<VecDeque<Range<u64>>>, hashed: watch::Receiver<u64>) -> Result<()> {
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        while let Some(chunk) = next() {
            self.wait_for_window(&chunk, hashed.clone()).await;
            self.bring(chunk, false, false).await?;
        }
        Ok(())
    }

    /// Waits until a chunk begins within the window. A follower that has ended lets everybody go on: its own error is
    /// the one that will be told.
    async fn wait_for_window(&self, chunk: &Range<u64>, mut hashed: watch::Receiver<u64>) {
        let window = self.transfer.settings.window_bytes;
        let _ = hashed.wait_for(|hashed| chunk.start < hashed.saturating_add(window)).await;
    }

    /// Brings one chunk, trying again for as long as the budget lasts. The first chunk of all may turn out to be the whole
    /// file.
    async fn bring(&self, chunk: Range<u64>, is_first: bool, is_only: bool) -> Result<()> {
        let mut patience = RetryBudget::new(self.transfer, self.progress.id, self.progress.sink);
        let mut at = chunk.start;
        let worth = (self.transfer.settings.chunk_bytes / WORTH_PATIENCE).max(1);
        loop {
            let before = at;
            let Err(error) = self.stream(&chunk, &mut at, is_first, is_only).await else { return Ok(()) };
            if at - before >= worth {
                patience.renew();
            }
            patience.outlast(error).await?;
        }
    }

    /// Brings the bytes of a chunk from `at` on, over one connection, as far as they come.
    async fn stream(&self, chunk: &Range<u64>, at: &mut u64, is_first: bool, is_only: bool) -> Result<()> {
        let stall = self.transfer.settings.stall;
        let _permit = self.transfer.connections.acquire().await;
        // A whole file is asked for without a range: more servers serve a small one that way.
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
        // A server without ranges sends all; what is here already is passed over.
        let (skip, end) = if keeps_to_range { (0, chunk.end) } else { (*at, self.file.size) };
        let mut writer = Writer::new(&self.sink, *at);
        let taken = self.take(opened.stream, skip, end, &mut writer).await;
        writer.flush().await?;
        self.progress.show(self.sink.len());
        *at = writer.end();
        taken?;
        if *at < end { Err(self.answer("the bytes end early", true)) } else { Ok(()) }
    }

    /// Takes what a stream brings, but for the first bytes, and not beyond `end`.
    async fn take(&self, stream: ByteStream, skip: u64, end: u64, writer: &mut Writer<'_>) -> Result<()> {
        let mut body = Body::new(self.file, stream, self.transfer.settings.stall);
        let mut skip = skip;
        while let Some(mut piece) = body.next().await? {
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= passed as u64;
            let piece = piece.split_off(passed);
            if writer.end() + piece.len() as u64 > end {
                return Err(self.answer("more bytes came than were asked for", false));
            }
            self.transfer.rate.pay(piece.len() as u64).await;
            if writer.push(piece).await? {
                self.progress.show(self.sink.len());
            }
        }
        Ok(())
    }

    /// Whether an answer keeps to the range that was asked for; else it is the whole file, or refused.
    fn check(&self, opened: &Opened, asked: Range<u64>) -> Result<bool> {
        let size = self.file.size;
        if let Some(total) = opened.total_size.filter(|total| *total != size) {
            return Err(self.answer(&format!("it has {total} bytes, and was listed with {size}"), false));
        }
        self.check_validator(opened.validator.as_deref())?;
        let answered = opened.range.start..opened.range.end.unwrap_or(size);
        if answered == asked {
            return Ok(true);
        }
        if answered == (0..size) {
            return Ok(false);
        }
        let what = format!("bytes {asked:?} were asked for, and {answered:?} came");
        Err(self.answer(&what, false))
    }

    fn check_validator(&self, validator: Option<&str>) -> Result<()> {
        let Some(validator) = validator else { return Ok(()) };
        let mut subject = self.subject.lock().unwrap_or_else(PoisonError::into_inner);
        match &subject.validator {
            Some(known) if known != validator => Err(Error::Changed { path: self.file.path.to_string() }),
            Some(_) => Ok(()),
            None => {
                subject.validator = Some(validator.to_owned());
                self.sink.identify(validator)
            }
        }
    }

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

    /// Drops what has arrived.
    async fn restart(&self, validator: Option<String>) -> Result<()> {
        let subject = {
            let mut subject = self.subject.lock().unwrap_or_else(PoisonError::into_inner);
            subject.validator = validator;
            subject.clone()
        };
        let sink = Arc::clone(&self.sink);
        blocking(move || sink.restart(&subject)).await
    }

    fn answer(&self, what: &str, may_pass: bool) -> Error {
        Error::Answer { path: self.file.path.to_string(), what: what.to_owned(), may_pass }
    }

    fn stalled(&self, after: Duration) -> Error {
        Error::Stalled { path: self.file.path.to_string(), after }
    }
}

/// The thread that hashes. When this is dropped, the thread ends.
struct Follower<'a> {
    digests: oneshot::Receiver<Result<Option<ContentDigests>>>,
    sink: &'a Sink,
    epoch: Epoch,
}

impl<'a> Follower<'a> {
    /// Starts a thread of its own: it waits for bytes that only the runtime's blocking threads can write.
    fn start(
        sink: &'a Sink,
        follow: impl FnOnce() -> Result<Option<ContentDigests>> + Send + 'static,
    ) -> Result<Self> {
        let (tell, digests) = oneshot::channel();
        std::thread::Builder::new().name("hashing".to_owned()).spawn(move || {
            // Nobody may be waiting any more.
            let _ = tell.send(follow());
        })?;
        Ok(Self { digests, sink, epoch: sink.epoch() })
    }

    async fn finish(mut self) -> Result<Option<ContentDigests>> {
        (&mut self.digests).await.map_err(std::io::Error::other)?
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.sink.give_up(self.epoch);
    }
}

/// What is shown of one file. The count never goes back.
struct Shown<'a> {
    id: &'a str,
    file: &'a ManifestFile,
    best: AtomicU64,
    sink: &'a dyn ProgressSink,
}

impl<'a> Shown<'a> {
    /// Tells that a file begins, of which so much is here already.
    fn start(sink: &'a dyn ProgressSink, id: &'a str, file: &'a ManifestFile, present_bytes: u64) -> Self {
        let (path, size_bytes) = (file.path.to_string(), file.size);
        sink.on_event(&ProgressEvent::FetchStarted { id: id.to_owned(), path: path.clone(), size_bytes });
        if present_bytes > 0 {
            sink.on_event(&ProgressEvent::FetchResumed {
                id: id.to_owned(),
                path,
                present_bytes,
                size_bytes,
            });
        }
        Self { id, file, best: AtomicU64::new(0), sink }
    }

    fn show(&self, done_bytes: u64) {
        if self.best.fetch_max(done_bytes, Ordering::Relaxed) < done_bytes {
            let (id, path, size_bytes) = (self.id.to_owned(), self.file.path.to_string(), self.file.size);
            self.sink.on_event(&ProgressEvent::Fetched { id, path, done_bytes, size_bytes });
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let (id, path) = (self.id.to_owned(), self.file.path.to_string());
        self.sink.on_event(&ProgressEvent::FetchEnded { id, path });
    }
}

#[cfg(test)]
mod tests;
