//! Lets two threads hash together, on one processor and in the time of one.
//!
//! A thread that has bytes of its file looks whether another one waits. Where one does, it hashes the bytes of both, and the other
//! one goes on when they are hashed. Otherwise it waits itself, for a moment: bytes of other files come soon, or the hashing is not what
//! takes long. Where it waited in vain, it hashes alone for a while, and for longer each time where no other one came.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use paired_sha256::is_quicker_in_pairs;
use provisioner_core::ContentHasher;

use crate::{error::Result, lock::lock};

/// How long a thread waits for another one: about as long as the bytes of a write take to come.
const PATIENCE: Duration = Duration::from_millis(3);

/// How many stretches a thread hashes alone after it waited in vain: where another one came since the last time, and at the most. Where
/// none came, it is twice as many as the last time: the other files may bring nothing for long.
const ALONE: u32 = 8;
const MOST_ALONE: u32 = 512;

/// How many bytes are worth a meeting.
const WORTH_BYTES: usize = 64 << 10;

/// Where the threads of all files meet.
#[derive(Debug)]
pub(crate) struct Partners {
    threads: AtomicUsize,
    /// How many processors this process may use.
    pub(crate) processors: usize,
    patience: Duration,
    meeting: Mutex<Meeting>,
}

/// Holds who waits, and who came.
#[derive(Debug, Default)]
struct Meeting {
    waiting: Option<Waiting>,
    /// The thread that came last.
    last: Option<ThreadId>,
    /// How often another thread came than the time before.
    changes: u64,
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
    /// How many it was the last time.
    last_alone: u32,
    /// How often another thread had come by then.
    changes: u64,
}

impl Partners {
    /// Begins without threads, on a machine of so many processors.
    pub(crate) fn new(processors: usize) -> Self {
        Self { threads: AtomicUsize::new(0), processors, patience: PATIENCE, meeting: Mutex::default() }
    }

    /// Counts a thread more.
    pub(crate) fn join(&self) {
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a thread less. Where only one is left, no other one comes: it waits no longer.
    pub(crate) fn leave(&self) {
        let before = self.threads.fetch_sub(1, Ordering::Relaxed);
        if before <= 2
            && let Some(Waiting { stretch, answer, .. }) = lock(&self.meeting).waiting.take()
        {
            // It fails where that thread is gone.
            let _ = answer.send(stretch);
        }
    }

    /// Returns how many threads hash.
    pub(crate) fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    /// Returns whether the threads are enough to keep all processors busy.
    pub(crate) fn are_enough(&self) -> bool {
        self.threads() >= self.processors
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
        let thread = thread::current().id();
        let mut meeting = lock(&self.meeting);
        meeting.changes += u64::from(meeting.last.replace(thread) != Some(thread));
        if let Some(Waiting { mut stretch, answer, .. }) = meeting.waiting.take() {
            drop(meeting);
            hash_both(&mut mine, &mut stretch);
            // It fails where the other thread is gone.
            let _ = answer.send(stretch);
            return Ok(mine);
        }
        if self.threads() < 2 || mine.alone > 0 {
            drop(meeting);
            mine.alone = mine.alone.saturating_sub(1);
            mine.hash_alone();
            return Ok(mine);
        }
        let (answer, hashed) = channel();
        meeting.waiting = Some(Waiting { thread, stretch: mine, answer });
        drop(meeting);
        if let Ok(stretch) = hashed.recv_timeout(self.patience) {
            return Ok(stretch);
        }
        let mut meeting = lock(&self.meeting);
        let Some(mut mine) = meeting.waiting.take_if(|waiting| waiting.thread == thread) else {
            drop(meeting);
            // Another thread hashes it.
            return Ok(hashed.recv().map_err(std::io::Error::other)?);
        };
        mine.stretch.go_on_alone(meeting.changes);
        drop(meeting);
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

    /// Notes that the thread waited in vain, after another one had come so often.
    fn go_on_alone(&mut self, changes: u64) {
        let has_company = std::mem::replace(&mut self.changes, changes) != changes;
        self.last_alone = if has_company { ALONE } else { (self.last_alone * 2).min(MOST_ALONE) };
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

#[cfg(test)]
mod tests {
    use std::{thread::scope, time::Duration};

    use provisioner_core::ContentDigests;

    use super::*;

    /// No test waits so long; where one would, the stretch says that it waited in vain.
    const FOREVER: Duration = Duration::from_secs(20);

    fn partners(threads: usize, patience: Duration) -> Partners {
        Partners { threads: AtomicUsize::new(threads), patience, ..Partners::new(2) }
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
            while lock(&partners.meeting).waiting.is_none() {
                thread::yield_now();
            }
            let second = partners.meet(stretch(&other)).unwrap();
            let mut first = first.join().unwrap();
            assert!(second.pieces.is_empty(), "it had fewer bytes");
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
        let only_one = partners(1, FOREVER).hash(stretch(&bytes)).unwrap();
        assert_eq!((only_one.alone, only_one.hasher.finish()), (0, digests), "there is no other to wait for");
        let (few, digests) = pieces(&[WORTH_BYTES - 1], 3);
        let few = partners(2, FOREVER).hash(stretch(&few)).unwrap();
        assert_eq!((few.alone, few.hasher.finish()), (0, digests), "it does not wait with a few bytes");
    }

    #[test]
    fn a_thread_waits_no_longer_once_it_is_the_only_one() {
        if !is_quicker_in_pairs() {
            return;
        }
        let (bytes, digests) = pieces(&[WORTH_BYTES], 3);
        let partners = partners(2, FOREVER);
        scope(|scope| {
            let last = scope.spawn(|| partners.hash(stretch(&bytes)).unwrap());
            while lock(&partners.meeting).waiting.is_none() {
                thread::yield_now();
            }
            partners.leave();
            let last = last.join().unwrap();
            assert_eq!((last.alone, last.hasher.finish()), (0, digests), "it hashed at once");
        });
    }

    #[test]
    fn a_thread_to_which_none_comes_waits_less_and_less() {
        if !is_quicker_in_pairs() {
            return;
        }
        let (bytes, _) = pieces(&[WORTH_BYTES], 3);
        let impatient = partners(2, Duration::ZERO);
        let mut mine = Stretch::default();
        let mut hash = || {
            mine.pieces = bytes.clone();
            mine = impatient.hash(std::mem::take(&mut mine)).unwrap();
            mine.alone
        };
        let mut after_vain_waits = |count| {
            let mut waited = Vec::new();
            while waited.len() < count {
                let mut alone = hash();
                waited.push(alone);
                while alone > 0 {
                    alone = hash();
                }
            }
            waited
        };
        assert_eq!(after_vain_waits(8), [8, 16, 32, 64, 128, 256, 512, 512]);
        scope(|scope| scope.spawn(|| impatient.hash(stretch(&bytes)).unwrap()).join().unwrap());
        assert_eq!(after_vain_waits(2), [8, 16], "another one came");
    }
}
