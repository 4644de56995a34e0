//! Keeps the bytes that arrive at the frontier for the thread that hashes them, and writes that are still to be done.
//!
//! The queue begins where the thread will be when it has hashed all that it got. Bytes that arrive exactly there go in; all
//! others stay in the file, where the thread reads them once it comes to them. So the thread never misses a byte, and the queue
//! never has one twice.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{
    epoch::Epoch,
    write::{Write, length},
};

/// How many bytes wait for all threads together.
pub(crate) const QUEUE_BYTES: usize = 2 << 20;

/// A longer stretch of the file keeps the thread busy for so long that no connection should wait for it, in bytes.
const LONG_STRETCH: u64 = 32 << 20;

/// Says where the next bytes of a file are.
#[derive(Debug)]
pub(crate) enum Next {
    /// In memory, as they arrived.
    InMemory(Arrival),
    /// In the file, up to this offset.
    InFile(u64),
}

/// Holds bytes as they arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The file has them too.
    Written(Vec<Bytes>),
    /// The thread has to write them first.
    Unwritten(Write),
}

/// Holds what waits for a thread.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// The attempt whose thread takes the bytes; `None` where there is no thread.
    epoch: Option<Epoch>,
    queue: VecDeque<Arrival>,
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

    /// Drops what waits for the thread of an attempt, and keeps no more. It returns the writes that are still to be done.
    pub(crate) fn close(&mut self, epoch: Epoch) -> Vec<Write> {
        if self.epoch != Some(epoch) {
            return Vec::new();
        }
        let unwritten = |arrival| match arrival {
            Arrival::Unwritten(write) => Some(write),
            Arrival::Written(_) => None,
        };
        std::mem::take(self).queue.into_iter().filter_map(unwritten).collect()
    }

    /// Keeps the pieces of a write that is done and begins where the queue ends, where so many threads share the memory.
    pub(crate) fn push(&mut self, epoch: Epoch, start: u64, pieces: Vec<Bytes>, threads: usize) {
        let has_room = !self.is_far || self.bytes < share(threads);
        if self.is_next(epoch, start) && has_room {
            self.keep(Arrival::Written(pieces));
        }
    }

    /// Keeps a write for the thread to do, where it begins where the queue ends; otherwise gives it back.
    pub(crate) fn hand(&mut self, write: Write) -> Option<Write> {
        // A thread that reads a long stretch comes to it late.
        if !self.is_next(write.epoch, write.start) || self.is_far {
            return Some(write);
        }
        self.keep(Arrival::Unwritten(write));
        None
    }

    fn is_next(&self, epoch: Epoch, start: u64) -> bool {
        self.epoch == Some(epoch) && start == self.end
    }

    fn keep(&mut self, arrival: Arrival) {
        let bytes = arrival.length();
        self.bytes += bytes;
        self.end += bytes as u64;
        self.queue.push_back(arrival);
    }

    /// Returns whether the connection at the frontier waits for the thread, where so many threads share the memory.
    pub(crate) fn is_full(&self, epoch: Epoch, threads: usize) -> bool {
        self.epoch == Some(epoch) && !self.is_far && self.bytes > share(threads)
    }

    /// Returns where the bytes from `at` on are; `None` where they have not arrived. So many are here without a gap.
    pub(crate) fn next(&mut self, at: u64, frontier: u64) -> Option<Next> {
        if let Some(arrival) = self.queue.pop_front() {
            self.bytes -= arrival.length();
            self.is_far = false;
            return Some(Next::InMemory(arrival));
        }
        if frontier <= at {
            return None;
        }
        self.is_far = frontier - at > LONG_STRETCH;
        self.end = frontier;
        Some(Next::InFile(frontier))
    }
}

impl Arrival {
    fn length(&self) -> usize {
        match self {
            Self::Written(pieces) | Self::Unwritten(Write { pieces, .. }) => length(pieces),
        }
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

    /// Says where the next bytes are, and how many or up to where.
    fn next(arrived: &mut Arrived, at: u64, frontier: u64) -> Option<(&'static str, u64)> {
        arrived.next(at, frontier).map(|next| match next {
            Next::InMemory(Arrival::Written(pieces)) => ("written", length(&pieces) as u64),
            Next::InMemory(Arrival::Unwritten(write)) => ("unwritten", length(&write.pieces) as u64),
            Next::InFile(end) => ("in file", end),
        })
    }

    #[test]
    fn what_arrives_in_order_waits_in_memory_and_the_rest_in_the_file() {
        let mut arrived = Arrived::default();
        arrived.push(1, 0, bytes(10), 1);
        assert_eq!(next(&mut arrived, 0, 10), Some(("in file", 10)), "no thread, no queue");
        arrived.open(1);
        arrived.push(1, 0, bytes(10), 1);
        arrived.push(1, 20, bytes(10), 1);
        arrived.push(1, 10, bytes(10), 1);
        assert_eq!(next(&mut arrived, 0, 30), Some(("written", 10)));
        assert_eq!(next(&mut arrived, 10, 30), Some(("written", 10)));
        assert_eq!(next(&mut arrived, 20, 30), Some(("in file", 30)), "it arrived ahead of the frontier");
        assert_eq!(next(&mut arrived, 30, 30), None);
        arrived.push(1, 30, bytes(5), 1);
        assert_eq!(next(&mut arrived, 30, 35), Some(("written", 5)), "the queue begins behind the stretch");
        arrived.push(1, 35, bytes(5), 1);
        assert!(arrived.close(1).is_empty());
        assert_eq!((arrived.bytes, next(&mut arrived, 35, 35)), (0, None));
    }

    #[test]
    fn a_connection_waits_for_a_thread_that_is_near_and_for_no_other() {
        let mut arrived = Arrived::default();
        arrived.open(1);
        arrived.push(1, 0, bytes(QUEUE_BYTES / 2), 1);
        assert!(!arrived.is_full(1, 1) && !arrived.is_full(1, 2), "half of the memory");
        assert!(arrived.is_full(1, 3), "a third of the memory");
        arrived.push(1, QUEUE_BYTES as u64 / 2, bytes(QUEUE_BYTES), 1);
        assert!(arrived.is_full(1, 1) && !arrived.is_full(2, 1));
        arrived.open(2);
        let far = LONG_STRETCH + 1;
        assert_eq!(next(&mut arrived, 0, far), Some(("in file", far)));
        let write = QUEUE_BYTES / 4 * 3;
        for n in 0..4 {
            arrived.push(2, far + n * write as u64, bytes(write), 1);
        }
        assert!(!arrived.is_full(2, 1), "the thread comes late");
        assert_eq!(arrived.bytes, 2 * write, "the others stay in the file");
        arrived.next(far, far);
        arrived.next(far, far);
        assert_eq!((arrived.bytes, next(&mut arrived, far, far + 9)), (0, Some(("in file", far + 9))));
    }

    #[test]
    fn a_thread_takes_the_writes_where_its_queue_ends() {
        let mut arrived = Arrived::default();
        let write = |epoch, start| Write::new(epoch, start, bytes(10)).0;
        assert!(arrived.hand(write(1, 0)).is_some(), "no thread, no queue");
        arrived.open(1);
        arrived.push(1, 0, bytes(10), 1);
        assert!(arrived.hand(write(1, 10)).is_none());
        assert!(arrived.hand(write(1, 10)).is_some() && arrived.hand(write(1, 30)).is_some());
        assert!(arrived.hand(write(2, 20)).is_some(), "of another attempt");
        arrived.push(1, 20, bytes(5), 1);
        assert!(arrived.hand(write(1, 25)).is_none());
        assert_eq!(next(&mut arrived, 0, 10), Some(("written", 10)));
        assert_eq!(next(&mut arrived, 10, 10), Some(("unwritten", 10)));
        assert_eq!(next(&mut arrived, 20, 25), Some(("written", 5)));
        assert!(arrived.close(2).is_empty(), "the queue is that of another attempt");
        let left: Vec<_> = arrived.close(1).iter().map(|write| write.start).collect();
        assert_eq!((left, arrived.bytes), (vec![25], 0), "the thread has not done it");
        arrived.open(3);
        let far = LONG_STRETCH + 1;
        assert_eq!(next(&mut arrived, 0, far), Some(("in file", far)));
        assert!(arrived.hand(write(3, far)).is_some(), "the thread comes late");
    }
}
