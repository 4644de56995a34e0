//! Hashing what has arrived, right behind it.

use std::sync::Arc;

use provisioner_core::{ContentDigests, ContentHasher};
use tokio::sync::watch;

use crate::{
    Result,
    sink::{Epoch, Sink},
};

const BUFFER_BYTES: usize = 256 * 1024;

/// How often those who wait for the window are told.
const TELL_BYTES: u64 = 4 << 20;

/// Follows the bytes of a sink to the end, and returns their digests; `None` when they end early. It blocks. How far it
/// is, is told through `hashed`.
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
