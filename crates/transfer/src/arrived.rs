//! Keeps the bytes that arrive at the frontier for the thread that hashes them.
//!
//! The queue begins where the thread will be when it has hashed all that it got. Bytes that arrive exactly there go in; all
//! others stay in the file, where the thread reads them once it comes to them. So the thread never misses a byte, and the queue
//! never has one twice.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::epoch::Epoch;

/// How many bytes wait for all threads together.
pub(crate) const QUEUE_BYTES: usize = 2 << 20;

/// A longer stretch of the file keeps the thread busy for so long that no connection should wait for it, in bytes.
const LONG_STRETCH: u64 = 32 << 20;

/// Says where the next bytes of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// In memory, as they arrived.
    Arrived(Vec<Bytes>),
    /// In the file, up to this offset.
    InFile(u64),
}

/// Holds what waits for a thread.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// The attempt whose thread takes the bytes; `None` where there is no thread.
    epoch: Option<Epoch>,
    writes: VecDeque<Vec<Bytes>>,
    bytes: usize,
    /// Where the queue ends.
    end: u64,
    /// Whether the thread reads a long stretch of the file.
    is_far: bool,
}

impl Arrived {
    /// Begins to keep bytes for the thread of an attempt.
    pub(crate) fn open(&mut self, epoch: Epoch) {
        *self = Self { epoch: Some(epoch), ..Self::default() };
    }

    /// Drops what waits for the thread of an attempt, and keeps no more.
    pub(crate) fn close(&mut self, epoch: Epoch) {
        if self.epoch == Some(epoch) {
            *self = Self::default();
        }
    }

    /// Keeps the pieces of a write that begins where the queue ends, where so many threads share the memory.
    pub(crate) fn push(&mut self, start: u64, pieces: Vec<Bytes>, threads: usize) {
        let has_room = !self.is_far || self.bytes < share(threads);
        if self.epoch.is_none() || start != self.end || !has_room {
            return;
        }
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        self.bytes += bytes;
        self.end += bytes as u64;
        self.writes.push_back(pieces);
    }

    /// Returns whether the connection at the frontier waits for the thread, where so many threads share the memory.
    pub(crate) fn is_full(&self, epoch: Epoch, threads: usize) -> bool {
        self.epoch == Some(epoch) && !self.is_far && self.bytes > share(threads)
    }

    /// Returns where the bytes from `at` on are; `None` where they have not arrived. So many are here without a gap.
    pub(crate) fn next(&mut self, at: u64, frontier: u64) -> Option<Next> {
        if let Some(pieces) = self.writes.pop_front() {
            self.bytes -= pieces.iter().map(Bytes::len).sum::<usize>();
            self.is_far = false;
            return Some(Next::Arrived(pieces));
        }
        if frontier <= at {
            return None;
        }
        self.is_far = frontier - at > LONG_STRETCH;
        self.end = frontier;
        Some(Next::InFile(frontier))
    }
}

fn share(threads: usize) -> usize {
    QUEUE_BYTES / threads.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![0; length])]
    }

    #[test]
    fn what_arrives_in_order_waits_in_memory_and_the_rest_in_the_file() {
        let mut arrived = Arrived::default();
        arrived.push(0, bytes(10), 1);
        assert_eq!(arrived.next(0, 10), Some(Next::InFile(10)), "no thread, no queue");
        arrived.open(1);
        arrived.push(0, bytes(10), 1);
        arrived.push(20, bytes(10), 1);
        arrived.push(10, bytes(10), 1);
        assert_eq!(arrived.next(0, 30), Some(Next::Arrived(bytes(10))));
        assert_eq!(arrived.next(10, 30), Some(Next::Arrived(bytes(10))));
        assert_eq!(arrived.next(20, 30), Some(Next::InFile(30)), "it arrived ahead of the frontier");
        assert_eq!(arrived.next(30, 30), None);
        arrived.push(30, bytes(5), 1);
        assert_eq!(
            arrived.next(30, 35),
            Some(Next::Arrived(bytes(5))),
            "the queue begins behind the stretch"
        );
        arrived.push(35, bytes(5), 1);
        arrived.close(1);
        assert_eq!((arrived.bytes, arrived.next(35, 35)), (0, None));
    }

    #[test]
    fn a_connection_waits_for_a_thread_that_is_near_and_for_no_other() {
        let mut arrived = Arrived::default();
        arrived.open(1);
        arrived.push(0, bytes(QUEUE_BYTES / 2), 1);
        assert!(!arrived.is_full(1, 1) && !arrived.is_full(1, 2), "half of the memory");
        assert!(arrived.is_full(1, 3), "a third of the memory");
        arrived.push(QUEUE_BYTES as u64 / 2, bytes(QUEUE_BYTES), 1);
        assert!(arrived.is_full(1, 1) && !arrived.is_full(2, 1));
        arrived.open(2);
        let far = LONG_STRETCH + 1;
        assert_eq!(arrived.next(0, far), Some(Next::InFile(far)));
        let write = QUEUE_BYTES / 4 * 3;
        for n in 0..4 {
            arrived.push(far + n * write as u64, bytes(write), 1);
        }
        assert!(!arrived.is_full(2, 1), "the thread comes late");
        assert_eq!(arrived.bytes, 2 * write, "the others stay in the file");
        arrived.next(far, far);
        arrived.next(far, far);
        assert_eq!((arrived.bytes, arrived.next(far, far + 9)), (0, Some(Next::InFile(far + 9))));
    }
}
