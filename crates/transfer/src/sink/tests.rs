use std::thread;

use provisioner_core::{ContentDigests, ContentHasher};
use tokio::sync::{oneshot, watch};

use super::*;
use crate::{
    arrived::{Arrival, QUEUE_BYTES},
    concurrency::Hashed,
    error::Error,
    hashing::follow,
};

const WRITE: usize = 256 << 10;

fn header(size: usize) -> JournalHeader {
    JournalHeader { size: size as u64, digest: None, validator: None, boot: String::new() }
}

/// Returns an open partial for so many bytes, whose thread does not write. The folder keeps it.
fn open(size: usize) -> (tempfile::TempDir, Arc<Sink>) {
    let dir = tempfile::tempdir().unwrap();
    let sink = open_in(dir.path(), size, usize::MAX);
    (dir, Arc::new(sink))
}

/// Opens a partial in a folder, on a machine of so many processors.
fn open_in(dir: &Path, size: usize, processors: usize) -> Sink {
    let partners = Arc::new(Partners::new(processors));
    Sink::open(&dir.join("data"), &dir.join("journal"), &header(size), Arc::new(()), partners).unwrap().0
}

/// Does a write to its end.
fn write(sink: &Sink, epoch: Epoch, start: usize, pieces: Vec<Bytes>) {
    let (write, mut done) = Write::new(epoch, start as u64, pieces);
    sink.finish(write);
    done.try_recv().unwrap().unwrap();
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
fn hash(sink: &Arc<Sink>, size: usize) -> thread::JoinHandle<Result<Option<ContentDigests>>> {
    let (sink, epoch) = (Arc::clone(sink), sink.epoch());
    thread::spawn(move || follow(&sink, epoch, size as u64, false, &watch::channel(Hashed::default()).0, 1))
}

#[test]
fn the_thread_gets_the_very_bytes_that_arrived() {
    let (dir, sink) = open(2 * WRITE);
    let all = bytes(2 * WRITE);
    let _queue = sink.open_queue(1);
    write(&sink, 1, 0, vec![all.slice(..WRITE)]);
    let Some(Next::InMemory(Arrival::Written(pieces))) = sink.next(1, 0) else { panic!("it lies in memory") };
    assert_eq!(pieces.iter().map(|piece| piece.as_ptr()).collect::<Vec<_>>(), [all.as_ptr()], "no copy");
    // A server that knows no ranges sends bytes again that came ahead, and may send others.
    let ahead = Bytes::from_static(b"ahead");
    write(&sink, 1, WRITE + 10, vec![ahead.clone()]);
    write(&sink, 1, WRITE, vec![all.slice(WRITE..)]);
    let next = sink.next(1, WRITE as u64);
    assert!(
        matches!(next, Some(Next::InFile(end)) if end == 2 * WRITE as u64),
        "the file says which bytes are here"
    );
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
            write(&sink, 1, start, pieces);
        }
        assert_eq!(digest.join().unwrap().unwrap(), Some(digests(&all)));
        assert_eq!(fs_err::read(dir.path().join("data")).unwrap(), all);
    }
}

#[test]
fn a_new_attempt_hashes_none_of_the_bytes_of_the_last_one() {
    let size = 3 * WRITE;
    let (_dir, sink) = open(size);
    let (wrong, right) = (Bytes::from(vec![7; size]), bytes(size));
    let last = hash(&sink, size);
    write(&sink, 1, 0, vec![wrong.slice(..2 * WRITE)]);
    sink.give_up(1);
    assert_eq!(last.join().unwrap().unwrap(), None);
    // A write that has begun may still bring bytes for the attempt that is over.
    let _queue = sink.open_queue(1);
    write(&sink, 1, 2 * WRITE, vec![wrong.slice(2 * WRITE..)]);
    sink.restart(&header(size)).unwrap();
    // The bytes of this attempt wait for a thread that never takes them.
    let queue = sink.open_queue(2);
    write(&sink, 2, 0, vec![wrong.clone()]);
    sink.restart(&header(size)).unwrap();
    let digest = hash(&sink, size);
    write(&sink, 2, 0, vec![wrong]);
    write(&sink, 3, 0, vec![right.slice(..WRITE)]);
    write(&sink, 3, WRITE, vec![right.slice(WRITE..)]);
    assert_eq!(digest.join().unwrap().unwrap(), Some(digests(&right)));
    drop(queue);
}

/// Begins to write more than the queue takes, in a thread of its own, and returns once the queue is full.
fn write_too_much(sink: &Arc<Sink>, size: usize) -> thread::JoinHandle<()> {
    let shared = Arc::clone(sink);
    let all = bytes(size);
    let writes = thread::spawn(move || {
        for start in (0..size).step_by(WRITE) {
            write(&shared, 1, start, vec![all.slice(start..start + WRITE)]);
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
    while let Some(Next::InMemory(Arrival::Written(pieces))) =
        (at < size as u64).then(|| sink.next(1, at).unwrap())
    {
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

/// Gives the thread a write to do, and returns what tells that it is done.
fn hand(sink: &Sink, start: usize, piece: Bytes) -> oneshot::Receiver<Result<()>> {
    let (write, done) = Write::new(1, start as u64, vec![piece]);
    assert!(sink.hand(write).is_none(), "the thread takes it");
    done
}

/// Begins to hash the first attempt in a thread of its own, and returns once the thread takes writes.
fn hash_and_write(sink: &Arc<Sink>, size: usize) -> thread::JoinHandle<Result<Option<ContentDigests>>> {
    let digest = hash(sink, size);
    while !sink.partners.are_enough() {
        thread::yield_now();
    }
    digest
}

#[test]
fn a_thread_writes_what_it_hashes_where_the_threads_are_enough() {
    let size = 9 * WRITE + 77;
    let (dir, all) = (tempfile::tempdir().unwrap(), bytes(size));
    let sink = Arc::new(open_in(dir.path(), size, 1));
    let digest = hash_and_write(&sink, size);
    for start in (0..size).step_by(WRITE) {
        let end = size.min(start + WRITE);
        hand(&sink, start, all.slice(start..end)).blocking_recv().unwrap().unwrap();
        assert_eq!(sink.len(), end as u64, "the connection learns of it once it is written");
    }
    assert_eq!(digest.join().unwrap().unwrap(), Some(digests(&all)));
    drop(sink);
    assert_eq!(fs_err::read(dir.path().join("data")).unwrap(), all);
    assert_eq!(open_in(dir.path(), size, 1).len(), size as u64, "the journal knows of it");
}

#[test]
fn threads_that_are_too_few_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (processors, takes_it) in [(1, true), (2, false)] {
        let sink = open_in(dir.path(), WRITE, processors);
        let _queue = sink.open_queue(1);
        let (write, _done) = Write::new(1, 0, vec![bytes(WRITE)]);
        assert_eq!(sink.hand(write).is_none(), takes_it);
    }
}

#[test]
fn a_thread_hashes_the_bytes_of_the_file_where_some_were_here_before() {
    let dir = tempfile::tempdir().unwrap();
    let sink = Arc::new(open_in(dir.path(), WRITE, 1));
    write(&sink, 1, 10, vec![Bytes::from_static(b"ahead")]);
    let digest = hash_and_write(&sink, WRITE);
    hand(&sink, 0, bytes(WRITE)).blocking_recv().unwrap().unwrap();
    let file = fs_err::read(dir.path().join("data")).unwrap();
    assert_eq!((&file[10..15], digest.join().unwrap().unwrap()), (b"ahead".as_slice(), Some(digests(&file))));
}

#[test]
fn a_thread_that_ends_does_the_writes_that_it_took() {
    let (dir, all) = (tempfile::tempdir().unwrap(), bytes(2 * WRITE));
    let sink = open_in(dir.path(), 2 * WRITE, 1);
    let queue = sink.open_queue(1);
    let mut done = [0, WRITE].map(|start| hand(&sink, start, all.slice(start..start + WRITE)));
    assert!(done[0].try_recv().is_err(), "nothing is written yet");
    sink.give_up(1);
    let (late, _done) = Write::new(1, 2 * WRITE as u64, vec![]);
    assert!(sink.hand(late).is_some(), "it takes no more");
    drop(queue);
    assert!(done.iter_mut().all(|done| done.try_recv().unwrap().is_ok()));
    assert_eq!(fs_err::read(dir.path().join("data")).unwrap(), all);
}

#[test]
fn the_connection_learns_that_a_thread_could_not_write_or_the_thread_says_so() {
    for is_dropped in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = open_in(dir.path(), WRITE, 1);
        // It takes no byte.
        sink.data = File::options().write(true).open("/dev/full").unwrap();
        let sink = Arc::new(sink);
        let (write, done) = Write::new(1, 0, vec![bytes(WRITE)]);
        let of_connection = Some(done).filter(|_| !is_dropped);
        let thread = hash_and_write(&sink, WRITE);
        assert!(sink.hand(write).is_none());
        let ended = thread.join().unwrap();
        match of_connection {
            Some(done) => {
                assert!(matches!(done.blocking_recv().unwrap(), Err(Error::Disk(_))));
                assert!(ended.unwrap().is_none());
            }
            None => assert!(matches!(ended, Err(Error::Disk(_)))),
        }
    }
}
