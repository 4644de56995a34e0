//! Follows the hash frontier: a thread hashes the bytes that have arrived without a gap, from memory where they arrived at
//! the frontier, and from the page cache where they arrived ahead of it. Its one loop does all of a transfer's hashing.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use provisioner_core::{ContentDigests, ContentHasher};
use tokio::sync::{oneshot, watch};

use crate::{arrived::Next, concurrency::Hashed, epoch::Epoch, error::Result, partners::Stretch, sink::Sink};

const BUFFER_BYTES: usize = 256 * 1024;

/// Hashes the bytes of a sink to the end, as they arrive, and returns their digests; `None` when they end early. It blocks.
/// `told` tells how far it is, each time that `step_bytes` more are hashed.
pub(crate) fn follow(
    sink: &Arc<Sink>,
    epoch: Epoch,
    size: u64,
    git_ids: bool,
    told: &watch::Sender<Hashed>,
    step_bytes: u64,
) -> Result<Option<ContentDigests>> {
    let _queue = sink.open_queue(epoch);
    let stretch = Stretch::new(ContentHasher::of_size(size, git_ids));
    let mut frontier = Frontier { sink, stretch, buffer: BytesMut::new(), bytes: 0, told, step_bytes };
    while frontier.bytes < size {
        let Some(next) = sink.next(epoch, frontier.bytes) else { return Ok(None) };
        match next {
            Next::Arrived(pieces) => frontier.hash(pieces)?,
            Next::InFile(end) => frontier.read_to(end)?,
        }
    }
    told.send_replace(frontier.hashed());
    Ok(Some(frontier.stretch.hasher.finish()))
}

/// Holds how far the hashing is.
struct Frontier<'a> {
    sink: &'a Sink,
    stretch: Stretch,
    buffer: BytesMut,
    bytes: u64,
    told: &'a watch::Sender<Hashed>,
    step_bytes: u64,
}

impl Frontier<'_> {
    /// Hashes the bytes of the file up to `end`.
    fn read_to(&mut self, end: u64) -> Result<()> {
        while self.bytes < end {
            let length = usize::try_from(end - self.bytes).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize(length, 0);
            self.sink.read(&mut buffer, self.bytes)?;
            let piece = buffer.freeze();
            self.hash(vec![piece.clone()])?;
            // No other piece of the buffer is left.
            self.buffer = piece.try_into_mut().unwrap_or_default();
        }
        Ok(())
    }

    /// Hashes bytes, and tells how far it is after each step.
    fn hash(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        let before = self.bytes / self.step_bytes;
        self.bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        self.stretch.pieces = pieces.into();
        self.stretch = self.sink.hash(std::mem::take(&mut self.stretch))?;
        if self.bytes / self.step_bytes > before {
            self.told.send_replace(self.hashed());
        }
        Ok(())
    }

    fn hashed(&self) -> Hashed {
        Hashed { bytes: self.bytes, busy: self.stretch.busy }
    }
}

/// Holds the thread that hashes. When this is dropped, the thread ends.
pub(crate) struct Follower<'a> {
    digests: oneshot::Receiver<Result<Option<ContentDigests>>>,
    sink: &'a Sink,
    epoch: Epoch,
}

impl<'a> Follower<'a> {
    /// Starts a thread of its own: it waits for bytes that only the runtime's blocking threads can write.
    pub(crate) fn start(
        sink: &'a Sink,
        follow: impl FnOnce() -> Result<Option<ContentDigests>> + Send + 'static,
    ) -> Result<Self> {
        let (tell, digests) = oneshot::channel();
        std::thread::Builder::new().name("hashing".to_owned()).spawn(move || {
            // The caller may have been dropped.
            let _ = tell.send(follow());
        })?;
        Ok(Self { digests, sink, epoch: sink.epoch() })
    }

    /// Waits for the digests; `None` when the bytes end early.
    pub(crate) async fn finish(mut self) -> Result<Option<ContentDigests>> {
        (&mut self.digests).await.map_err(std::io::Error::other)?
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.sink.give_up(self.epoch);
    }
}
