//! Fetches a range in stretches, several at once, within a bound on memory.
//!
//! # Model
//! Xet's client gives bytes only once it has all of a stretch: it fetches the compressed pieces of up to 64 MiB, in which the storage
//! keeps files, and unpacks each in memory. So the length of a stretch is what one request brings, what must arrive before the
//! first byte does, and what is in memory at once. Where the storage is fast, few long stretches cost least; where each connection is
//! slow, many short ones bring most; and where the line is slow, a long one keeps the caller waiting. The first ones have [`FIRST`]
//! bytes. Each one that is over soon lets the next ones be twice as long, up to [`LONGEST`]; each one that is late halves them, down
//! to [`SHORTEST`].
//!
//! # Memory
//! All stretches of a fetcher share [`MEMORY`]. A stretch takes its share before its request, and gives it back when the caller has
//! dropped the last of its bytes: the bytes are handed on as they are, without a copy. A caller that writes slowly therefore slows
//! the storage down.
//!
//! A stretch in front never waits for one behind it, for the shares are given out in order. A caller may hold a few bytes back
//! until it has more of them: bytes too few for a write of their own are copied, and hold no share.

use std::{
    future::Future,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use provisioner_core::{ByteStream, FetchError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::failure::unavailable;

const MIB: u64 = 1 << 20;

/// How many bytes of all stretches may be in memory.
pub(super) const MEMORY: u64 = 64 * MIB;

/// The length of the first stretches, in bytes.
const FIRST: u64 = 16 * MIB;

/// The length of the shortest stretch, in bytes: over a slow line, it arrives while a caller still waits for it.
const SHORTEST: u64 = 2 * MIB;

/// The length of the longest stretch, in bytes: while the caller writes one, the next one arrives.
const LONGEST: u64 = 32 * MIB;

/// How many stretches of a range are on their way at once.
const AT_ONCE: usize = 2;

/// A stretch that takes less than this is over soon.
const SOON: Duration = Duration::from_millis(500);

/// A stretch that takes more than this is late.
const LATE: Duration = Duration::from_secs(4);

/// How many bytes a caller gets at once: a write of a good size.
const PIECE: usize = 4 << 20;

/// Fewer bytes than this are copied, and hold no memory of a stretch.
const FEW: usize = 1 << 20;

/// Holds what the stretches of all ranges share.
#[derive(Debug)]
pub(super) struct Stretches {
    /// One permit for each KiB.
    memory: Arc<Semaphore>,
    /// How long the next stretch is.
    length: AtomicU64,
}

/// Holds the share of a stretch in the memory, until the last of its bytes is dropped.
#[derive(Debug)]
pub(super) struct Share {
    stretches: Arc<Stretches>,
    begin: Instant,
    is_whole: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Holds bytes of a stretch, with its share.
struct Held {
    bytes: Bytes,
    _share: Arc<Share>,
}

impl Stretches {
    pub(super) fn new() -> Arc<Self> {
        let memory = Arc::new(Semaphore::new(usize::try_from(kib(MEMORY)).unwrap_or(usize::MAX)));
        Arc::new(Self { memory, length: AtomicU64::new(FIRST) })
    }

    /// Takes the first stretch off a range, and waits for its share.
    pub(super) async fn first(self: &Arc<Self>, range: &mut Range<u64>) -> (Range<u64>, Share) {
        let stretch = self.take(range);
        let share = self.share(&stretch).await;
        (stretch, share)
    }

    /// Takes a stretch off the front of a range.
    fn take(&self, range: &mut Range<u64>) -> Range<u64> {
        let end = range.end.min(range.start.saturating_add(self.length.load(Ordering::Relaxed)));
        let stretch = range.start..end;
        range.start = end;
        stretch
    }

    /// Waits for the share of a stretch.
    async fn share(self: &Arc<Self>, stretch: &Range<u64>) -> Share {
        let permits = kib(stretch.end - stretch.start);
        let permit = Arc::clone(&self.memory).acquire_many_owned(permits).await;
        // The semaphore is never closed.
        Share { stretches: Arc::clone(self), begin: Instant::now(), is_whole: false, _permit: permit.ok() }
    }

    /// Learns from a stretch how long the next ones are to be.
    fn learn(&self, took: Duration) {
        let length = self.length.load(Ordering::Relaxed);
        let next = if took < SOON {
            length.saturating_mul(2).min(LONGEST)
        } else if took > LATE {
            (length / 2).max(SHORTEST)
        } else {
            length
        };
        self.length.store(next, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.is_whole {
            self.stretches.learn(self.begin.elapsed());
        }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns the bytes of a range, of which the first stretch has its share. `open` opens a stretch at the storage.
pub(super) fn fetch<F, O>(first: (Range<u64>, Share), rest: Range<u64>, open: F) -> ByteStream
where
    F: Fn(Range<u64>) -> O + Send + Sync + 'static,
    O: Future<Output = Result<ByteStream, FetchError>> + Send,
{
    let (stretches, open) = (Arc::clone(&first.1.stretches), Arc::new(open));
    let later = stream::unfold((stretches, rest), |(stretches, mut rest)| async move {
        let stretch = stretches.take(&mut rest);
        (!stretch.is_empty()).then(|| ((stretch, Arc::clone(&stretches)), (stretches, rest)))
    });
    let shares = later.map(|(stretch, stretches)| (stretch, None, stretches));
    let stretches = Arc::clone(&first.1.stretches);
    let all = stream::iter([(first.0, Some(first.1), stretches)]).chain(shares);
    let whole = all.map(move |(stretch, share, stretches)| {
        let open = Arc::clone(&open);
        async move {
            let share = match share {
                Some(share) => share,
                None => stretches.share(&stretch).await,
            };
            let length = stretch.end - stretch.start;
            collect(open(stretch).await?, length, share).await
        }
    });
    let pieces = whole.buffered(AT_ONCE).map_ok(|pieces| stream::iter(pieces.into_iter().map(Ok)));
    Box::pin(pieces.try_flatten())
}

/// Collects a stretch, and gives its bytes a share.
async fn collect(mut pieces: ByteStream, length: u64, mut share: Share) -> Result<Vec<Bytes>, FetchError> {
    let (mut collected, mut left) = (Vec::new(), length);
    while let Some(piece) = pieces.try_next().await? {
        let Some(fewer) = left.checked_sub(piece.len() as u64) else {
            return Err(unavailable("the storage sent more bytes than the request was for"));
        };
        left = fewer;
        collected.push(piece);
    }
    share.is_whole = true;
    let share = Arc::new(share);
    Ok(collected.into_iter().flat_map(|piece| held(piece, &share)).collect())
}

/// Cuts bytes into pieces that hold a share for as long as they live.
fn held(bytes: Bytes, share: &Arc<Share>) -> Vec<Bytes> {
    if bytes.len() < FEW {
        return vec![Bytes::copy_from_slice(&bytes)];
    }
    let mut bytes = Bytes::from_owner(Held { bytes, _share: Arc::clone(share) });
    let mut pieces = Vec::new();
    // The last piece is never one of few bytes.
    while bytes.len() >= PIECE + FEW {
        pieces.push(bytes.split_to(PIECE));
    }
    pieces.push(bytes);
    pieces
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
