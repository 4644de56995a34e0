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
    error::Result,
    journal::{Entries, Journal, JournalHeader},
    ranges::Ranges,
    truncate::truncate,
};

/// How many bytes the sink writes between two syncs, so that another boot finds most of them.
const SYNC_BYTES: u64 = 256 << 20;

/// Numbers the attempts. A write or a reading of an earlier attempt comes too late, and does nothing.
pub(crate) type Epoch = u64;

/// Writes an open partial. The guard lives as long as any write does.
#[derive(Debug)]
pub(crate) struct Sink {
    /// A write holds it: a new attempt begins between two of them, and a file takes but one at a time anyway.
    epoch: Mutex<Epoch>,
    data: File,
    journal: Mutex<Journal>,
    have: Mutex<Have>,
    changed: Condvar,
    since_sync: AtomicU64,
    _guard: Arc<dyn Any + Send + Sync>,
}

/// Says how far the bytes are.
#[derive(Debug, Default)]
struct Have {
    ranges: Ranges,
    /// The last attempt that the transfer gave up.
    given_up: Epoch,
}

impl Sink {
    /// Opens a partial. The entries of its journal count where they are of the same file in the same state.
    pub(crate) fn open(
        data: &Path,
        journal: &Path,
        header: &JournalHeader,
        guard: Arc<dyn Any + Send + Sync>,
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
            have: Mutex::new(Have { ranges, given_up: 0 }),
            changed: Condvar::new(),
            since_sync: AtomicU64::new(0),
            _guard: guard,
        };
        Ok((sink, header))
    }

    /// Writes pieces that follow each other, and notes them in the journal.
    pub(crate) fn write(&self, epoch: Epoch, start: u64, pieces: &[Bytes]) -> Result<()> {
        let current = lock(&self.epoch);
        if *current != epoch {
            return Ok(());
        }
        let mut at = start;
        for piece in pieces {
            let end = at + piece.len() as u64;
            // The sink never writes a byte that is here again: the thread may have hashed it.
            let missing = lock(&self.have).ranges.missing_in(&(at..end));
            for range in missing {
                let within = |offset: u64| usize::try_from(offset - at).unwrap_or(usize::MAX);
                self.data.write_all_at(&piece[within(range.start)..within(range.end)], range.start)?;
            }
            at = end;
        }
        lock(&self.journal).done(&(start..at))?;
        lock(&self.have).ranges.add(start..at);
        drop(current);
        self.changed.notify_all();
        let bytes = at - start;
        if self.since_sync.fetch_add(bytes, Ordering::Relaxed) + bytes >= SYNC_BYTES {
            self.since_sync.store(0, Ordering::Relaxed);
            self.sync(epoch)?;
        }
        Ok(())
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

    /// Notes the state of the file.
    pub(crate) fn identify(&self, validator: &str) -> Result<()> {
        lock(&self.journal).validator(validator)
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

    /// Returns the chunks that the file still lacks.
    pub(crate) fn missing(&self, size: u64, chunk: u64) -> Vec<Range<u64>> {
        lock(&self.have).ranges.missing(size, chunk)
    }

    /// Returns how many bytes are here.
    pub(crate) fn len(&self) -> u64 {
        lock(&self.have).ranges.len()
    }

    /// Blocks until more than `past` bytes are here without a gap, and returns how many; `None` when the transfer gave the
    /// attempt up.
    pub(crate) fn wait_past(&self, epoch: Epoch, past: u64) -> Option<u64> {
        let mut have = lock(&self.have);
        loop {
            if have.given_up >= epoch {
                return None;
            }
            let frontier = have.ranges.frontier();
            if frontier > past {
                return Some(frontier);
            }
            have = self.changed.wait(have).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives an attempt up: no connection fetches more for it.
    pub(crate) fn give_up(&self, epoch: Epoch) {
        let mut have = lock(&self.have);
        have.given_up = have.given_up.max(epoch);
        drop(have);
        self.changed.notify_all();
    }

    /// Fills a buffer with the bytes from `at` on.
    pub(crate) fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        Ok(self.data.read_exact_at(buffer, at)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
