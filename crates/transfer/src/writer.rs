//! Writes a stream into a sink, in writes of a good size.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::{epoch::Epoch, error::Result, sink::Sink};

/// How many bytes the writer gathers for one write.
pub(crate) const WRITE_BYTES: usize = 256 << 10;

/// Gathers pieces, and writes them on a blocking thread while the next ones arrive.
pub(crate) struct Writer<'a> {
    sink: &'a Arc<Sink>,
    epoch: Epoch,
    /// Where the gathered pieces begin.
    at: u64,
    pieces: Vec<Bytes>,
    bytes: usize,
    running: Option<JoinHandle<Result<()>>>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(sink: &'a Arc<Sink>, at: u64) -> Self {
        Self { sink, epoch: sink.epoch(), at, pieces: Vec::new(), bytes: 0, running: None }
    }

    /// Returns where the next piece begins.
    pub(crate) fn end(&self) -> u64 {
        self.at + self.bytes as u64
    }

    /// Gathers a piece, and returns whether a write began.
    pub(crate) async fn push(&mut self, piece: Bytes) -> Result<bool> {
        self.bytes += piece.len();
        self.pieces.push(piece);
        let is_enough = self.bytes >= WRITE_BYTES;
        if is_enough {
            self.start().await?;
        }
        Ok(is_enough)
    }

    async fn start(&mut self) -> Result<()> {
        self.wait().await?;
        if self.bytes > 0 {
            let (sink, epoch, at) = (Arc::clone(self.sink), self.epoch, self.at);
            let pieces = std::mem::take(&mut self.pieces);
            self.at += std::mem::take(&mut self.bytes) as u64;
            self.running = Some(tokio::task::spawn_blocking(move || sink.write(epoch, at, pieces)));
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
            Some(running) => running.await.map_err(std::io::Error::from)?,
            None => Ok(()),
        }
    }
}
