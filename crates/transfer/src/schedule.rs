//! Begins the chunks of a file, in ascending order: over as many connections as the file has, and within the window.
//!
//! The first chunk begins alone, until its answer says whether the server knows ranges. A chunk that ends sooner than the next
//! answer comes does not count, so the connection does not stand idle for the time that an answer takes. The last chunks are
//! shorter, so that no connection brings the last one alone.

use std::{collections::VecDeque, ops::Range, pin::pin, sync::atomic::Ordering, time::Duration};

use futures_util::{
    FutureExt, StreamExt, TryStreamExt,
    future::{Either, pending, select},
    stream::FuturesUnordered,
};
use rustix::time::{ClockId, clock_gettime};
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

/// Which part of a chunk the last ones have at the least: 2 MiB of 16 MiB.
const SHORTEST_PART: u64 = 8;

/// How long the schedule sleeps between two looks at the connections.
const LOOK: Duration = Duration::from_millis(25);

/// Holds what no chunk has been cut off yet.
struct Missing {
    /// In ascending order.
    ranges: VecDeque<Range<u64>>,
    /// Whether the first chunk was cut off.
    is_begun: bool,
}

impl Missing {
    /// Returns how many bytes no chunk has yet.
    fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Cuts a chunk off the front, of so many bytes at the most.
    fn cut(&mut self, bytes: u64) -> Option<Chunk> {
        let rest = self.ranges.front_mut()?;
        let range = rest.start..rest.start.saturating_add(bytes).min(rest.end);
        rest.start = range.end;
        if rest.is_empty() {
            self.ranges.pop_front();
        }
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        Some(Chunk { range, is_first, is_only: is_first && self.ranges.is_empty() })
    }
}

impl FileFetch<'_> {
    /// Fetches the missing chunks.
    pub(crate) async fn fetch_missing(&self, mut hashed: watch::Receiver<Hashed>) -> Result<()> {
        let mut missing = Missing { ranges: self.sink.missing(self.file.size).into(), is_begun: false };
        let mut concurrency =
            Concurrency::new(self.context.settings.bytes_per_second, self.context.partners.processors);
        let (began, mut under_way) = (Instant::now(), FuturesUnordered::new());
        loop {
            if self.no_ranges.load(Ordering::Relaxed) {
                missing.ranges.clear();
            }
            while let Some(chunk) = self.next_chunk(&mut missing, &concurrency, &hashed) {
                under_way.push(self.fetch_chunk(chunk, self.connections.begin()).boxed());
            }
            if missing.ranges.is_empty() {
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

    /// Cuts the next chunk off what is missing, where it may begin. A thread that has ended lets all chunks begin: its own error is
    /// the one that the caller gets.
    fn next_chunk(
        &self,
        missing: &mut Missing,
        concurrency: &Concurrency,
        hashed: &watch::Receiver<Hashed>,
    ) -> Option<Chunk> {
        let start = missing.ranges.front()?.start;
        let frontier = if hashed.has_changed().is_ok() { hashed.borrow().bytes } else { u64::MAX };
        let is_within_window = start < frontier.saturating_add(self.context.settings.window_bytes);
        let is_free = self.connections.under_way() < concurrency.count();
        let is_known = !missing.is_begun || self.has_ranges.load(Ordering::Relaxed);
        let is_next = is_within_window && is_free && is_known;
        if is_next {
            missing.cut(self.chunk_bytes(start, missing.bytes(), concurrency.count()))
        } else {
            None
        }
    }

    /// Returns how long a chunk from here is, in bytes, that begins now, where so many bytes are left for so many connections.
    fn chunk_bytes(&self, start: u64, left: u64, connections: usize) -> u64 {
        let usual = self.context.settings.chunk_bytes.max(1);
        if let Some(wanted) = self.fetcher.range_bytes(self.file, start) {
            return usual.max(wanted);
        }
        let shortest = self.connections.bytes_of_answer().max(usual / SHORTEST_PART);
        evened(shortest.min(usual)..usual, left, connections)
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
        concurrency.share(self.context.settings.connections, self.context.partners.threads());
        if concurrency.is_due(at) {
            let ((arrived, live), hashed) = (self.connections.observe(), *hashed.borrow());
            let busy = processor_time();
            concurrency.observe(Observed { at, arrived, hashed, live, busy });
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

/// Returns how much processor time this process has taken.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Returns how long a chunk is, within these lengths in bytes: shorter than usual where so few bytes are left that some
/// connections would wait for the last one, and not so short that they would wait for an answer.
fn evened(lengths: Range<u64>, left: u64, connections: usize) -> u64 {
    (left / connections.max(1) as u64).min(lengths.end).max(lengths.start).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_taken_processor_time() {
        assert!(processor_time() > Duration::ZERO);
    }

    #[test]
    fn the_last_chunks_are_short_so_that_all_connections_end_together() {
        let mut missing = Missing { ranges: std::iter::once(0..400).collect(), is_begun: false };
        let mut lengths = Vec::new();
        while let Some(chunk) = missing.cut(evened(10..80, missing.bytes(), 4)) {
            lengths.push(chunk.range.end - chunk.range.start);
        }
        assert_eq!(lengths, [80, 80, 60, 45, 33, 25, 19, 14, 11, 10, 10, 10, 3]);
        let of = |(left, connections)| evened(10..80, left, connections);
        assert_eq!([(80, 1), (79, 1), (5, 9), (0, 0)].map(of), [80, 79, 10, 10]);
        assert_eq!(evened(80..80, 100, 4), 80, "an answer takes as long as a chunk");
        assert_eq!(evened(0..1, 1, 8), 1, "a chunk has a byte at the least");
    }

    #[test]
    fn a_chunk_is_cut_off_when_it_begins() {
        let mut missing = Missing { ranges: [0..25, 40..50].into(), is_begun: false };
        let mut cut = |bytes| missing.cut(bytes).map(|chunk| (chunk.range, chunk.is_first, chunk.is_only));
        assert_eq!(cut(20), Some((0..20, true, false)));
        assert_eq!(cut(10), Some((20..25, false, false)), "no chunk goes over what is here");
        assert_eq!(cut(100), Some((40..50, false, false)), "the last of several is not the only one");
        assert_eq!(cut(100), None);
        let mut whole = Missing { ranges: std::iter::once(0..50).collect(), is_begun: false };
        assert!(whole.cut(50).is_some_and(|chunk| chunk.is_first && chunk.is_only));
    }
}
