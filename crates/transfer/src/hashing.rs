//! Follows the hash frontier: a thread hashes the bytes that have arrived without a gap, from memory where they arrived at
//! the frontier, and from the page cache where they arrived ahead of it. Its one loop does all of a transfer's hashing.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use provisioner_core::{ContentDigests, ContentHasher};
use tokio::sync::{oneshot, watch};

use crate::{arrived::Next, concurrency::Hashed, epoch::Epoch, error::Result, sink::Sink};

const BUFFER_BYTES: usize = 256 * 1024;

/// After how many bytes the transfer learns of the frontier; at once where the thread waits for bytes.
const TELL_BYTES: u64 = 4 << 20;

/// Hashes the bytes of a sink to the end, as they arrive, and returns their digests; `None` when they end early. It blocks.
/// `told` tells how far it is.
pub(crate) fn follow(
    sink: &Arc<Sink>,
    epoch: Epoch,
    size: u64,
    git_ids: bool,
    told: &watch::Sender<Hashed>,
) -> Result<Option<ContentDigests>> {
    let _queue = sink.open_queue(epoch);
    let mut frontier = Frontier {
        sink,
        content: ContentHasher::of_size(size, git_ids),
        buffer: Vec::new(),
        hashed: Hashed::default(),
        told,
    };
    while frontier.hashed.bytes < size {
        let hashed = frontier.hashed;
        let idle = || {
            told.send_if_modified(|known| std::mem::replace(known, hashed) != hashed);
        };
        let Some(next) = sink.next(epoch, hashed.bytes, idle) else { return Ok(None) };
        match next {
            Next::Arrived(pieces) => frontier.hash(&pieces),
            Next::InFile(end) => frontier.read_to(end)?,
        }
    }
    told.send_replace(frontier.hashed);
    Ok(Some(frontier.content.finish()))
}

/// Holds how far the hashing is.
struct Frontier<'a> {
    sink: &'a Sink,
    content: ContentHasher,
    buffer: Vec<u8>,
    hashed: Hashed,
    told: &'a watch::Sender<Hashed>,
}

impl Frontier<'_> {
    /// Hashes the bytes of the file up to `end`.
    fn read_to(&mut self, end: u64) -> Result<()> {
        while self.hashed.bytes < end {
            let length = usize::try_from(end - self.hashed.bytes).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
            let begin = Instant::now();
            let piece = &mut self.buffer[..length];
            self.sink.read(piece, self.hashed.bytes)?;
            self.content.update(piece);
            self.note(length as u64, begin);
        }
        Ok(())
    }

    /// Hashes bytes as they arrived.
    fn hash(&mut self, pieces: &[Bytes]) {
        let begin = Instant::now();
        for piece in pieces {
            self.content.update(piece);
        }
        self.note(pieces.iter().map(|piece| piece.len() as u64).sum(), begin);
    }

    /// Notes how far the hashing is, and tells it now and then.
    fn note(&mut self, bytes: u64, begin: Instant) {
        let before = self.hashed.bytes / TELL_BYTES;
        self.hashed.bytes += bytes;
        self.hashed.busy += begin.elapsed();
        if self.hashed.bytes / TELL_BYTES > before {
            self.told.send_replace(self.hashed);
        }
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
