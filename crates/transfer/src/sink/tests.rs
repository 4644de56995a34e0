use std::thread;

use provisioner_core::{ContentDigests, ContentHasher};
use tokio::sync::watch;

use super::*;
use crate::{arrived::QUEUE_BYTES, concurrency::Hashed, hashing::follow};

const WRITE: usize = 256 << 10;

fn header(size: usize) -> JournalHeader {
    JournalHeader { size: size as u64, digest: None, validator: None, boot: String::new() }
}

/// Returns an open partial for so many bytes. The folder keeps it.
fn open(size: usize) -> (tempfile::TempDir, Arc<Sink>) {
    let dir = tempfile::tempdir().unwrap();
    let (data, journal) = (dir.path().join("data"), dir.path().join("journal"));
    let (sink, _) = Sink::open(&data, &journal, &header(size), Arc::new(()), Arc::default()).unwrap();
    (dir, Arc::new(sink))
}

fn bytes(size: usize) -> Bytes {
    (0..size).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect::<Vec<_>>().into()
}

fn digests(bytes: &[u8]) -> ContentDigests {
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// Begins to hash an attempt in a thread of its own.
fn hash(sink: &Arc<Sink>, size: usize) -> thread::JoinHandle<Option<ContentDigests>> {
    let (sink, epoch) = (Arc::clone(sink), sink.epoch());
    thread::spawn(move || {
        follow(&sink, epoch, size as u64, false, &watch::channel(Hashed::default()).0, 1).unwrap()
    })
}

#[test]
fn the_thread_gets_the_very_bytes_that_arrived() {
    let (dir, sink) = open(2 * WRITE);
    let all = bytes(2 * WRITE);
    let _queue = sink.open_queue(1);
    sink.write(1, 0, vec![all.slice(..WRITE)]).unwrap();
    let Some(Next::Arrived(pieces)) = sink.next(1, 0) else { panic!("it lies in memory") };
    assert_eq!(pieces.iter().map(|piece| piece.as_ptr()).collect::<Vec<_>>(), [all.as_ptr()], "no copy");
    // A server that knows no ranges sends bytes again that came ahead, and may send others.
    let ahead = Bytes::from_static(b"ahead");
    sink.write(1, WRITE as u64 + 10, vec![ahead.clone()]).unwrap();
    sink.write(1, WRITE as u64, vec![all.slice(WRITE..)]).unwrap();
    let next = sink.next(1, WRITE as u64);
    assert_eq!(next, Some(Next::InFile(2 * WRITE as u64)), "the file says which bytes are here");
    let file = fs_err::read(dir.path().join("data")).unwrap();
    assert_eq!(file[WRITE + 10..WRITE + 15], ahead);
    assert_eq!((&file[..WRITE + 10], &file[WRITE + 15..]), (&all[..WRITE + 10], &all[WRITE + 15..]));
}

#[test]
fn bytes_are_hashed_in_whatever_order_they_arrive() {
    let size = 40 * WRITE + 77;
    let all = bytes(size);
    let orders: [Vec<usize>; 3] =
        [(0..=40).collect(), (0..=40).rev().collect(), (0..=40).map(|n| n * 7 % 41).collect()];
    for order in orders {
        let (dir, sink) = open(size);
        let digest = hash(&sink, size);
        for n in order {
            let (start, end) = (n * WRITE, size.min((n + 1) * WRITE));
            let middle = start + (end - start) / 3;
            let pieces = vec![all.slice(start..middle), all.slice(middle..end)];
            sink.write(1, start as u64, pieces).unwrap();
        }
        assert_eq!(digest.join().unwrap(), Some(digests(&all)));
        assert_eq!(fs_err::read(dir.path().join("data")).unwrap(), all);
    }
}

#[test]
fn a_new_attempt_hashes_none_of_the_bytes_of_the_last_one() {
    let size = 3 * WRITE;
    let (_dir, sink) = open(size);
    let (wrong, right) = (Bytes::from(vec![7; size]), bytes(size));
    let last = hash(&sink, size);
    sink.write(1, 0, vec![wrong.slice(..2 * WRITE)]).unwrap();
    sink.give_up(1);
    assert_eq!(last.join().unwrap(), None);
    // A write that has begun may still bring bytes for the attempt that is over.
    let _queue = sink.open_queue(1);
    sink.write(1, 2 * WRITE as u64, vec![wrong.slice(2 * WRITE..)]).unwrap();
    sink.restart(&header(size)).unwrap();
    // The bytes of this attempt wait for a thread that never takes them.
    let queue = sink.open_queue(2);
    sink.write(2, 0, vec![wrong.clone()]).unwrap();
    sink.restart(&header(size)).unwrap();
    let digest = hash(&sink, size);
    sink.write(2, 0, vec![wrong]).unwrap();
    sink.write(3, 0, vec![right.slice(..WRITE)]).unwrap();
    sink.write(3, WRITE as u64, vec![right.slice(WRITE..)]).unwrap();
    assert_eq!(digest.join().unwrap(), Some(digests(&right)));
    drop(queue);
}

/// Begins to write more than the queue takes, in a thread of its own, and returns once the queue is full.
fn write_too_much(sink: &Arc<Sink>, size: usize) -> thread::JoinHandle<()> {
    let shared = Arc::clone(sink);
    let all = bytes(size);
    let writes = thread::spawn(move || {
        for start in (0..size).step_by(WRITE) {
            shared.write(1, start as u64, vec![all.slice(start..start + WRITE)]).unwrap();
        }
    });
    let mut have = lock(&sink.have);
    while !have.arrived.is_full(1, 1) {
        have = sink.wait(have);
    }
    drop(have);
    writes
}

#[test]
fn a_connection_waits_for_a_thread_that_is_slower() {
    let size = 4 * QUEUE_BYTES;
    let (_dir, sink) = open(size);
    let queue = sink.open_queue(1);
    let writes = write_too_much(&sink, size);
    // The writer would be done before this is.
    let all = bytes(size);
    assert_eq!(digests(&all), digests(&all));
    assert!(!writes.is_finished(), "the thread has hashed nothing yet");
    let mut at = 0;
    while let Some(Next::Arrived(pieces)) = (at < size as u64).then(|| sink.next(1, at).unwrap()) {
        at += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
    }
    assert_eq!(at, size as u64, "all of it came from memory");
    writes.join().unwrap();
    drop(queue);
}

#[test]
fn no_connection_waits_for_an_attempt_that_is_given_up() {
    let size = 4 * QUEUE_BYTES;
    for ends_by_error in [false, true] {
        let (_dir, sink) = open(size);
        let queue = sink.open_queue(1);
        let writes = write_too_much(&sink, size);
        if ends_by_error {
            drop(queue);
        } else {
            sink.give_up(1);
        }
        writes.join().unwrap();
    }
}
