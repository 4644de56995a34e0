//! Lets two threads hash together, on one processor and in the time of one.
//!
//! A thread that has bytes of its file looks whether another one waits. Where one does, it hashes the bytes of both, and the other
//! one goes on when they are hashed. Otherwise it waits itself, for a moment: bytes of other files come soon, or the hashing is not what
//! takes long. Where it waited in vain, it hashes alone for a while, and for longer each time until it meets another one.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use paired_sha256::is_quicker_in_pairs;
use provisioner_core::ContentHasher;

use crate::error::Result;

/// How long a thread waits for another one: about as long as the bytes of a write take to come.
const PATIENCE: Duration = Duration::from_millis(3);

/// How many stretches a thread hashes alone after it waited in vain: first, and at the most. Each time it is twice as many, for the other
/// file may bring nothing for long.
const ALONE: u32 = 8;
const MOST_ALONE: u32 = 512;

/// How many bytes are worth a meeting.
const WORTH_BYTES: usize = 64 << 10;

/// Where the threads of all files meet.
#[derive(Debug)]
pub(crate) struct Partners {
    threads: AtomicUsize,
    patience: Duration,
    waiting: Mutex<Option<Waiting>>,
}

/// Holds what a thread brought that waits.
#[derive(Debug)]
struct Waiting {
    thread: ThreadId,
    stretch: Stretch,
    answer: Sender<Stretch>,
}

/// Holds bytes of a file, and the hasher that has taken all before them.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    pub(crate) hasher: ContentHasher,
    /// The bytes that the hasher has not taken.
    pub(crate) pieces: VecDeque<Bytes>,
    /// How long the hashing took, without the waiting.
    pub(crate) busy: Duration,
    /// How many stretches more the thread does not wait with.
    alone: u32,
    /// How many it was the last time; 0 after a meeting.
    last_alone: u32,
}

impl Default for Partners {
    fn default() -> Self {
        Self { threads: AtomicUsize::new(0), patience: PATIENCE, waiting: Mutex::default() }
    }
}

impl Partners {
    /// Counts a thread more.
    pub(crate) fn join(&self) {
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a thread less.
    pub(crate) fn leave(&self) {
        self.threads.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns how many threads hash.
    pub(crate) fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    /// Hashes all bytes of a stretch. It blocks.
    pub(crate) fn hash(&self, mut stretch: Stretch) -> Result<Stretch> {
        while is_quicker_in_pairs() && stretch.is_long() {
            stretch = self.meet(stretch)?;
        }
        stretch.hash_alone();
        Ok(stretch)
    }

    /// Hashes bytes of a stretch, all of them or as many as another thread has.
    fn meet(&self, mut mine: Stretch) -> Result<Stretch> {
        let mut waiting = lock(&self.waiting);
        if let Some(Waiting { mut stretch, answer, .. }) = waiting.take() {
            drop(waiting);
            hash_both(&mut mine, &mut stretch);
            (mine.last_alone, stretch.last_alone) = (0, 0);
            // It fails where the other thread is gone.
            let _ = answer.send(stretch);
            return Ok(mine);
        }
        if self.threads() < 2 || mine.alone > 0 {
            drop(waiting);
            mine.alone = mine.alone.saturating_sub(1);
            mine.hash_alone();
            return Ok(mine);
        }
        let (answer, hashed) = channel();
        let thread = thread::current().id();
        *waiting = Some(Waiting { thread, stretch: mine, answer });
        drop(waiting);
        if let Ok(stretch) = hashed.recv_timeout(self.patience) {
            return Ok(stretch);
        }
        let Some(mut mine) = lock(&self.waiting).take_if(|waiting| waiting.thread == thread) else {
            // Another thread hashes it.
            return Ok(hashed.recv().map_err(std::io::Error::other)?);
        };
        mine.stretch.go_on_alone();
        mine.stretch.hash_alone();
        Ok(mine.stretch)
    }
}

impl Stretch {
    /// Returns a stretch without bytes.
    pub(crate) fn new(hasher: ContentHasher) -> Self {
        Self { hasher, ..Self::default() }
    }

    /// Returns whether the bytes are worth a meeting.
    fn is_long(&self) -> bool {
        self.pieces.iter().map(Bytes::len).sum::<usize>() >= WORTH_BYTES
    }

    /// Notes that the thread waited in vain.
    fn go_on_alone(&mut self) {
        self.last_alone = (self.last_alone * 2).clamp(ALONE, MOST_ALONE);
        self.alone = self.last_alone;
    }

    /// Drops bytes that the hasher has taken out of the first piece.
    fn advance(&mut self, length: usize) {
        if let Some(piece) = self.pieces.front_mut() {
            piece.advance(length);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    fn hash_alone(&mut self) {
        let begin = Instant::now();
        for piece in self.pieces.drain(..) {
            self.hasher.update(&piece);
        }
        self.busy += begin.elapsed();
    }
}

/// Hashes as many bytes of either stretch as the other one has.
fn hash_both(one: &mut Stretch, other: &mut Stretch) {
    let begin = Instant::now();
    while let (Some(one_piece), Some(other_piece)) = (one.pieces.front_mut(), other.pieces.front_mut()) {
        let length = one_piece.len().min(other_piece.len());
        ContentHasher::update_both(
            (&mut one.hasher, &one_piece[..length]),
            (&mut other.hasher, &other_piece[..length]),
        );
        one.advance(length);
        other.advance(length);
    }
    one.busy += begin.elapsed();
    other.busy += begin.elapsed();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{thread::scope, time::Duration};

    use provisioner_core::ContentDigests;

    use super::*;

    /// No test waits so long; where one would, the stretch says that it waited in vain.
    const FOREVER: Duration = Duration::from_secs(20);

    fn partners(threads: usize, patience: Duration) -> Partners {
        Partners { threads: AtomicUsize::new(threads), patience, ..Partners::default() }
    }

    /// Returns pieces of these lengths, and the digests of all their bytes.
    fn pieces(lengths: &[usize], seed: u8) -> (VecDeque<Bytes>, ContentDigests) {
        let fill = |(n, length)| Bytes::from(vec![seed.wrapping_add(n); length]);
        let pieces: VecDeque<_> = (0..).zip(lengths.iter().copied()).map(fill).collect();
        let mut hasher = ContentHasher::new();
        for piece in &pieces {
            hasher.update(piece);
        }
        (pieces, hasher.finish())
    }

    fn stretch(pieces: &VecDeque<Bytes>) -> Stretch {
        Stretch { pieces: pieces.clone(), ..Stretch::default() }
    }

    #[test]
    fn two_threads_hash_together_whatever_the_pieces() {
        if !is_quicker_in_pairs() {
            return;
        }
        let (one, one_digests) = pieces(&[1, 100_000, 70_001, 63, 64, 200_000], 1);
        let (other, other_digests) = pieces(&[130_000, 0, 3, 65_536], 7);
        let partners = partners(2, FOREVER);
        scope(|scope| {
            let first = scope.spawn(|| partners.meet(stretch(&one)).unwrap());
            while lock(&partners.waiting).is_none() {
                thread::yield_now();
            }
            let second = partners.meet(Stretch { last_alone: 64, ..stretch(&other) }).unwrap();
            let mut first = first.join().unwrap();
            assert!(second.pieces.is_empty(), "it had fewer bytes");
            assert_eq!(second.last_alone, 0, "the next vain wait is the first again");
            let left: usize = first.pieces.iter().map(Bytes::len).sum();
            assert_eq!(left, 370_129 - 195_539, "the first one goes on behind what both had");
            first.hash_alone();
            assert_eq!((first.hasher.finish(), second.hasher.finish()), (one_digests, other_digests));
        });
    }

    #[test]
    fn a_thread_that_waited_in_vain_hashes_alone_for_a_while() {
        let (bytes, digests) = pieces(&[WORTH_BYTES], 3);
        let mut after = partners(2, Duration::ZERO).hash(stretch(&bytes)).unwrap();
        assert_eq!(after.hasher.clone().finish(), digests);
        if is_quicker_in_pairs() {
            let patient = partners(2, FOREVER);
            for alone in (0..ALONE).rev() {
                after.pieces = bytes.clone();
                after = patient.hash(after).unwrap();
                assert_eq!(after.alone, alone);
            }
        }
        let impatient = partners(2, Duration::ZERO);
        let mut waited = Vec::new();
        for _ in 0..2000 {
            after.pieces = bytes.clone();
            let is_alone = after.alone > 0;
            after = impatient.hash(after).unwrap();
            waited.extend((!is_alone).then_some(after.alone));
        }
        if is_quicker_in_pairs() {
            assert_eq!(
                waited[..8],
                [16, 32, 64, 128, 256, 512, 512, 512],
                "where it never meets another one"
            );
        }
        let only_one = partners(1, FOREVER).hash(stretch(&bytes)).unwrap();
        assert_eq!((only_one.alone, only_one.hasher.finish()), (0, digests), "there is no other to wait for");
        let (few, digests) = pieces(&[WORTH_BYTES - 1], 3);
        let few = partners(2, FOREVER).hash(stretch(&few)).unwrap();
        assert_eq!((few.alone, few.hasher.finish()), (0, digests), "it does not wait with a few bytes");
    }
}
