//! Writes a stream into a sink, in writes of a good size.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, task::spawn_blocking, time::Instant};

use crate::{epoch::Epoch, error::Result, sink::Sink, write::Write};

/// How many bytes a writer gathers for one write at the least, usually at the least, and at the most.
const LEAST_BYTES: usize = 64 << 10;
const USUAL_BYTES: usize = 256 << 10;
const MOST_BYTES: usize = 1 << 20;

/// How many bytes all writers gather together, where that is more than the least for each.
const GATHERED_BYTES: usize = 3 << 19;

/// Where the bytes of a write arrive in less time, the next write is longer: each one wakes two threads.
const QUICK: Duration = Duration::from_millis(4);

/// Gathers pieces, and has them written by another thread while the next ones arrive: the one that hashes, or a blocking one.
pub(crate) struct Writer<'a> {
    sink: &'a Arc<Sink>,
    epoch: Epoch,
    /// Where the gathered pieces begin.
    at: u64,
    pieces: Vec<Bytes>,
    bytes: usize,
    /// How many bytes are enough for a write.
    enough: usize,
    /// When the gathering began.
    began: Instant,
    /// Tells that the last write is done.
    running: Option<oneshot::Receiver<Result<()>>>,
}

impl<'a> Writer<'a> {
    /// Begins to write at an offset. Nothing is gathered yet.
    pub(crate) fn new(sink: &'a Arc<Sink>, at: u64) -> Self {
        Self {
            sink,
            epoch: sink.epoch(),
            at,
            pieces: Vec::new(),
            bytes: 0,
            enough: USUAL_BYTES,
            began: Instant::now(),
            running: None,
        }
    }

    /// Returns where the next piece begins.
    pub(crate) fn end(&self) -> u64 {
        self.at + self.bytes as u64
    }

    /// Gathers a piece, and returns whether a write began. So many writers share the memory.
    pub(crate) async fn push(&mut self, piece: Bytes, writers: usize) -> Result<bool> {
        self.bytes += piece.len();
        self.pieces.push(piece);
        let is_enough = self.bytes >= self.enough;
        if is_enough {
            self.enough = enough(self.enough, self.began.elapsed(), writers);
            self.start().await?;
            self.began = Instant::now();
        }
        Ok(is_enough)
    }

    async fn start(&mut self) -> Result<()> {
        self.wait().await?;
        if self.bytes > 0 {
            let (write, done) = Write::new(self.epoch, self.at, std::mem::take(&mut self.pieces));
            self.at += std::mem::take(&mut self.bytes) as u64;
            self.running = Some(done);
            if let Some(write) = self.sink.hand(write) {
                let sink = Arc::clone(self.sink);
                spawn_blocking(move || sink.finish(write));
            }
        }
        Ok(())
    }

    /// Writes all gathered pieces, and waits for the last write.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.start().await?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<()> {
        match self.running.take() {
            Some(running) => {
                running.await.map_err(|_| io::Error::other("the thread of the write ended early"))?
            }
            None => Ok(()),
        }
    }
}

/// Returns how many bytes are enough for the next write, where those of the last one arrived in that time, and so many writers
/// share the memory.
fn enough(last: usize, took: Duration, writers: usize) -> usize {
    let most = (GATHERED_BYTES / writers.max(1)).clamp(LEAST_BYTES, MOST_BYTES);
    let next = if took < QUICK { last * 2 } else { last / 2 };
    next.clamp(most.min(USUAL_BYTES), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_long_where_bytes_come_fast_and_writers_are_few() {
        let quick = |last, writers| enough(last, QUICK / 2, writers);
        assert_eq!([1, 2, 3].map(|times| quick(USUAL_BYTES * times, 1)), [2, 4, 4].map(|n| n * USUAL_BYTES));
        let shared = [4, 8, 16, 100].map(|writers| quick(MOST_BYTES, writers));
        assert_eq!(shared, [384, 192, 96, 64].map(|n| n << 10));
        assert_eq!(
            enough(MOST_BYTES, QUICK, 1),
            MOST_BYTES / 2,
            "what a kill takes away is soon there again"
        );
        assert_eq!([1, 16].map(|writers| enough(USUAL_BYTES, QUICK, writers)), [USUAL_BYTES, 96 << 10]);
    }
}
