//! Writes the bytes of a file and its journal, and knows which bytes are there.

use std::{
    any::Any,
    fs::File,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    arrived::{Arrived, Next},
    epoch::Epoch,
    error::Result,
    journal::{Entries, Journal, JournalHeader},
    lock::lock,
    partners::{Partners, Stretch},
    ranges::Ranges,
    truncate::truncate,
    write::Write,
};

/// How many bytes the sink writes between two syncs, so that another boot finds most of them.
const SYNC_BYTES: u64 = 256 << 20;

/// Writes an open partial. The guard lives as long as any write does.
#[derive(Debug)]
pub(crate) struct Sink {
    /// A write holds it: a new attempt begins between two of them, and a file takes but one at a time anyway.
    epoch: Mutex<Epoch>,
    data: File,
    journal: Mutex<Journal>,
    have: Mutex<Have>,
    /// Threads wait with it; `wait` and `tell` alone use it.
    changed: Condvar,
    since_sync: AtomicU64,
    /// The threads that hash, of all files: their bytes share the memory.
    partners: Arc<Partners>,
    _guard: Arc<dyn Any + Send + Sync>,
}

/// Says how far the bytes are.
#[derive(Debug, Default)]
struct Have {
    ranges: Ranges,
    /// The bytes that the thread takes from memory.
    arrived: Arrived,
    /// The last attempt that the transfer gave up.
    given_up: Epoch,
    /// How many threads wait for a change.
    waiting: usize,
}

impl Sink {
    /// Opens a partial. The entries of its journal count where they are of the same file in the same state.
    pub(crate) fn open(
        data: &Path,
        journal: &Path,
        header: &JournalHeader,
        guard: Arc<dyn Any + Send + Sync>,
        partners: Arc<Partners>,
    ) -> Result<(Self, JournalHeader)> {
        let entries = Entries::read(journal);
        let boot = durable_fs::boot_id();
        let file = durable_fs::open_own(data).map_err(std::io::Error::from)?;
        // Bytes behind the file's end are not of the file.
        let length = truncate(&file, header.size)?;
        let mut header = JournalHeader { boot: boot.to_owned(), ..header.clone() };
        let (mut ranges, mut synced) = (Ranges::default(), Ranges::default());
        let about = |found: &JournalHeader| found.size == header.size && found.digest == header.digest;
        if let Some(found) = entries.header.as_ref().filter(|found| about(found)) {
            header.validator.clone_from(&found.validator);
            // A journal with more bytes than the file has is of another file.
            let known = entries.ranges(boot);
            if known.iter().all(|range| range.end <= length) {
                (ranges, synced) = (known, entries.synced());
            }
        }
        if ranges.len() == 0 {
            truncate(&file, 0)?;
        }
        let journal = Journal::begin(journal, &header, &ranges, &synced)?;
        let sink = Self {
            epoch: Mutex::new(1),
            data: file,
            journal: Mutex::new(journal),
            have: Mutex::new(Have { ranges, ..Have::default() }),
            changed: Condvar::new(),
            since_sync: AtomicU64::new(0),
            partners,
            _guard: guard,
        };
        Ok((sink, header))
    }

    /// Gives a write to the thread that hashes, where the threads of all files keep the processors busy: to wake another one for the
    /// write would only cost time. Otherwise gives the write back.
    pub(crate) fn hand(&self, write: Write) -> Option<Write> {
        if !self.partners.are_enough() {
            return Some(write);
        }
        let mut have = lock(&self.have);
        if have.given_up >= write.epoch {
            return Some(write);
        }
        let back = have.arrived.hand(write);
        self.tell(have);
        back
    }

    /// Does a write, hands its bytes to the thread that hashes, and tells that it is done. It waits where the thread has enough to
    /// do.
    pub(crate) fn finish(&self, write: Write) {
        let Write { epoch, start, pieces, written } = write;
        let done = self.write(epoch, start, &pieces).map(|are_new| {
            let mut have = lock(&self.have);
            if are_new {
                have.arrived.push(epoch, start, pieces, self.partners.threads());
            }
            self.tell(have);
            self.wait_for_thread(epoch);
        });
        // The connection may have been dropped.
        let _ = written.send(done);
    }

    /// Writes pieces that follow each other, and notes them in the journal. Returns whether they are the bytes of the file now:
    /// others may be there where some were here before.
    pub(crate) fn write(&self, epoch: Epoch, start: u64, pieces: &[Bytes]) -> Result<bool> {
        let current = lock(&self.epoch);
        if *current != epoch {
            return Ok(false);
        }
        let (mut at, mut written) = (start, 0);
        for piece in pieces {
            let end = at + piece.len() as u64;
            // The sink never writes a byte that is here again: the thread may have hashed it.
            let missing = lock(&self.have).ranges.missing_in(&(at..end));
            for range in missing {
                let within = |offset: u64| usize::try_from(offset - at).unwrap_or(usize::MAX);
                self.data.write_all_at(&piece[within(range.start)..within(range.end)], range.start)?;
                written += range.end - range.start;
            }
            at = end;
        }
        lock(&self.journal).done(&(start..at))?;
        lock(&self.have).ranges.add(start..at);
        drop(current);
        let bytes = at - start;
        if self.since_sync.fetch_add(bytes, Ordering::Relaxed) + bytes >= SYNC_BYTES {
            self.since_sync.store(0, Ordering::Relaxed);
            self.sync(epoch)?;
        }
        Ok(written == bytes)
    }

    /// Blocks for as long as the thread has enough to do, unless the transfer gives the attempt up.
    fn wait_for_thread(&self, epoch: Epoch) {
        let mut have = lock(&self.have);
        while have.given_up < epoch && have.arrived.is_full(epoch, self.partners.threads()) {
            have = self.wait(have);
        }
    }

    /// Blocks until another thread tells of a change.
    fn wait<'a>(&self, mut have: MutexGuard<'a, Have>) -> MutexGuard<'a, Have> {
        have.waiting += 1;
        let mut have = self.changed.wait(have).unwrap_or_else(PoisonError::into_inner);
        have.waiting -= 1;
        have
    }

    /// Tells the threads that wait of a change. The system is asked to wake them only where there are any.
    fn tell(&self, have: MutexGuard<'_, Have>) {
        let is_awaited = have.waiting > 0;
        drop(have);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    /// Makes the written bytes durable, so that another boot counts them.
    fn sync(&self, epoch: Epoch) -> Result<()> {
        let lines = lock(&self.journal).lines();
        self.data.sync_data()?;
        // Those lines are gone where a new attempt began meanwhile.
        let current = lock(&self.epoch);
        if *current == epoch { lock(&self.journal).synced(lines) } else { Ok(()) }
    }

    /// Returns the present attempt.
    pub(crate) fn epoch(&self) -> Epoch {
        *lock(&self.epoch)
    }

    /// Keeps the state of the file, for the journal to note with the next bytes.
    pub(crate) fn identify(&self, validator: &str) {
        lock(&self.journal).identify(validator);
    }

    /// Drops all bytes, and begins a new attempt.
    pub(crate) fn restart(&self, header: &JournalHeader) -> Result<()> {
        let mut epoch = lock(&self.epoch);
        *epoch += 1;
        let mut have = lock(&self.have);
        self.data.set_len(0)?;
        lock(&self.journal).reset(header)?;
        have.ranges = Ranges::default();
        Ok(())
    }

    /// Returns what the file still lacks, in ascending order.
    pub(crate) fn missing(&self, size: u64) -> Vec<Range<u64>> {
        lock(&self.have).ranges.missing_in(&(0..size))
    }

    /// Returns how many bytes are here.
    pub(crate) fn len(&self) -> u64 {
        lock(&self.have).ranges.len()
    }

    /// Begins to keep bytes in memory for the thread that hashes an attempt, for as long as the answer lives.
    pub(crate) fn open_queue(&self, epoch: Epoch) -> Queue<'_> {
        lock(&self.have).arrived.open(epoch);
        self.partners.join();
        Queue { sink: self, epoch }
    }

    /// Hashes all bytes of a stretch, together with those of another file where its thread has some. It blocks.
    pub(crate) fn hash(&self, stretch: Stretch) -> Result<Stretch> {
        self.partners.hash(stretch)
    }

    /// Returns where the bytes from `at` on are. It blocks until they are here; `None` when the transfer gave the attempt up.
    pub(crate) fn next(&self, epoch: Epoch, at: u64) -> Option<Next> {
        let mut have = lock(&self.have);
        loop {
            if have.given_up >= epoch {
                return None;
            }
            let frontier = have.ranges.frontier();
            if let Some(next) = have.arrived.next(at, frontier) {
                self.tell(have);
                return Some(next);
            }
            have = self.wait(have);
        }
    }

    /// Gives an attempt up: no connection fetches more for it.
    pub(crate) fn give_up(&self, epoch: Epoch) {
        let mut have = lock(&self.have);
        have.given_up = have.given_up.max(epoch);
        self.tell(have);
    }

    /// Fills a buffer with the bytes from `at` on.
    pub(crate) fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        Ok(self.data.read_exact_at(buffer, at)?)
    }
}

/// Keeps bytes in memory for a thread. When this is dropped, all writes of the thread are done, and no connection waits for it.
pub(crate) struct Queue<'a> {
    sink: &'a Sink,
    epoch: Epoch,
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        self.sink.partners.leave();
        let mut have = lock(&self.sink.have);
        let unwritten = have.arrived.close(self.epoch);
        self.sink.tell(have);
        for write in unwritten {
            self.sink.finish(write);
        }
    }
}

#[cfg(test)]
mod tests;
