//! Begins the chunks of a file, in ascending order: over as many connections as the file has, and within the window.
//!
//! The first chunk begins alone, until its answer says whether the server knows ranges. A chunk that ends sooner than the next
//! answer comes does not count, so the connection does not stand idle for the time that an answer takes.

use std::{collections::VecDeque, pin::pin, sync::atomic::Ordering, time::Duration};

use futures_util::{
    FutureExt, StreamExt, TryStreamExt,
    future::{Either, pending, select},
    stream::FuturesUnordered,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    chunk::{Chunk, FileFetch},
    concurrency::{Concurrency, Hashed, Observed},
    connections::Connection,
    error::Result,
    retry_budget::RetryBudget,
};

/// Which part of a chunk a connection must bring to renew the budget of retries: 64 KiB of 16 MiB. Otherwise a transfer
/// would ask a source that gives a byte at a time for ever.
const RENEWING_PART: u64 = 256;

/// How long the schedule sleeps between two looks at the connections.
const LOOK: Duration = Duration::from_millis(25);

impl FileFetch<'_> {
    /// Fetches the missing chunks.
    pub(crate) async fn fetch_missing(&self, mut hashed: watch::Receiver<Hashed>) -> Result<()> {
        let mut chunks = self.chunks();
        let mut concurrency = Concurrency::new(self.context.settings.bytes_per_second);
        let (began, mut under_way) = (Instant::now(), FuturesUnordered::new());
        loop {
            if self.no_ranges.load(Ordering::Relaxed) {
                chunks.clear();
            }
            while let Some(chunk) = self.next_chunk(&mut chunks, &concurrency, &hashed) {
                under_way.push(self.fetch_chunk(chunk, self.connections.begin()).boxed());
            }
            if chunks.is_empty() {
                return under_way.try_collect().await;
            }
            let fetched = {
                let news = pin!(self.news(&mut hashed));
                match select(under_way.next(), news).await {
                    Either::Left((Some(fetched), _)) => fetched,
                    Either::Left((None, news)) => news.map(Ok).await,
                    Either::Right(_) => Ok(()),
                }
            };
            fetched?;
            self.look(&mut concurrency, began, &hashed);
        }
    }

    fn chunks(&self) -> VecDeque<Chunk> {
        let least = self.fetcher.range_bytes(self.file).unwrap_or(1).max(1);
        let missing = self.sink.missing(self.file.size, self.context.settings.chunk_bytes.max(least));
        let is_only = missing.len() == 1;
        let chunk = |(n, range)| Chunk { range, is_first: n == 0, is_only };
        missing.into_iter().enumerate().map(chunk).collect()
    }

    /// Takes the next chunk, where it may begin. A thread that has ended lets all chunks begin: its own error is the one that
    /// the caller gets.
    fn next_chunk(
        &self,
        chunks: &mut VecDeque<Chunk>,
        concurrency: &Concurrency,
        hashed: &watch::Receiver<Hashed>,
    ) -> Option<Chunk> {
        let next = chunks.front()?;
        let frontier = if hashed.has_changed().is_ok() { hashed.borrow().bytes } else { u64::MAX };
        let is_within_window = next.range.start < frontier.saturating_add(self.context.settings.window_bytes);
        let is_free = self.connections.under_way() < concurrency.count();
        let is_known = next.is_first || self.has_ranges.load(Ordering::Relaxed);
        if is_within_window && is_free && is_known { chunks.pop_front() } else { None }
    }

    /// Waits until another chunk may begin, and for no longer than a look takes to be due.
    async fn news(&self, hashed: &mut watch::Receiver<Hashed>) {
        let frontier = pin!(async {
            if hashed.changed().await.is_err() {
                pending::<()>().await;
            }
        });
        let connections = pin!(self.connections.news());
        select(select(frontier, connections), pin!(sleep(LOOK))).await;
    }

    /// Lets the rule learn what the connections bring, once an interval is over.
    fn look(&self, concurrency: &mut Concurrency, began: Instant, hashed: &watch::Receiver<Hashed>) {
        let at = began.elapsed();
        concurrency.share(self.context.settings.connections, self.context.hashing.load(Ordering::Relaxed));
        if concurrency.is_due(at) {
            let ((arrived, live), hashed) = (self.connections.observe(), *hashed.borrow());
            concurrency.observe(Observed { at, arrived, hashed, live });
        }
    }

    /// Fetches one chunk, and tries again for as long as the budget lasts.
    async fn fetch_chunk<'a>(&'a self, chunk: Chunk, mut connection: Connection<'a>) -> Result<()> {
        let mut budget = RetryBudget::new(self.context, self.progress.id, self.progress.sink);
        let mut at = chunk.range.start;
        let worth = (self.context.settings.chunk_bytes / RENEWING_PART).max(1);
        loop {
            let before = at;
            let Err(error) = self.stream(&chunk, &mut at, &mut connection).await else { return Ok(()) };
            if at - before >= worth {
                budget.renew();
            }
            connection.rest();
            budget.wait_out(error).await?;
        }
    }
}
