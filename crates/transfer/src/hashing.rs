//! Follows the hash frontier: a thread hashes the bytes that have arrived without a gap. Its one loop does all of a
//! transfer's hashing.

use std::sync::Arc;

use provisioner_core::{ContentDigests, ContentHasher};
use tokio::sync::{oneshot, watch};

use crate::{
    error::Result,
    sink::{Epoch, Sink},
};

const BUFFER_BYTES: usize = 256 * 1024;

/// After how many bytes the connections that wait for the window learn of the frontier.
const TELL_BYTES: u64 = 4 << 20;

/// Hashes the bytes of a sink to the end, as they arrive, and returns their digests; `None` when they end early. It blocks.
/// `hashed` tells how far it is.
pub(crate) fn follow(
    sink: &Arc<Sink>,
    epoch: Epoch,
    size: u64,
    git_ids: bool,
    hashed: &watch::Sender<u64>,
) -> Result<Option<ContentDigests>> {
    let mut content = ContentHasher::of_size(size, git_ids);
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut at, mut told) = (0, 0);
    while at < size {
        let Some(frontier) = sink.wait_past(epoch, at) else { return Ok(None) };
        while at < frontier {
            let length = usize::try_from(frontier - at).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            let piece = &mut buffer[..length];
            sink.read(piece, at)?;
            content.update(piece);
            at += length as u64;
            if at - told >= TELL_BYTES {
                told = at;
                hashed.send_replace(at);
            }
        }
        hashed.send_replace(at);
    }
    Ok(Some(content.finish()))
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
