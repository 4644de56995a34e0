//! Where the bytes go: a file, its journal, and how far they are.

use std::{
    any::Any,
    fs::File,
    io,
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
    Result,
    journal::{Entries, Journal, JournalHeader},
    ranges::Ranges,
};

/// How many bytes are written between two syncs, so that another boot finds most of them.
const SYNC_BYTES: u64 = 256 << 20;

/// Which attempt a write or a reading belongs to. What belongs to an earlier one comes too late, and does nothing.
pub(crate) type Epoch = u64;

/// An open partial. The guard lives as long as any write does.
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

/// How far the bytes are.
#[derive(Debug, Default)]
struct Have {
    ranges: Ranges,
    /// The last attempt that was given up.
    given_up: Epoch,
}

impl Sink {
    /// Opens a partial. What its journal says counts where it is about the same file.
    pub(crate) fn open(
        data: &Path,
        journal: &Path,
        subject: &JournalHeader,
        guard: Arc<dyn Any + Send + Sync>,
    ) -> Result<(Self, JournalHeader)> {
        let entries = Entries::read(journal);
        let boot = durable_fs::boot_id();
        let file = durable_fs::open_own(data).map_err(std::io::Error::from)?;
        // What lies behind the file's end is not of the file.
        let length = cut(&file, subject.size)?;
        let mut subject = JournalHeader { boot: boot.to_owned(), ..subject.clone() };
        let (mut ranges, mut synced) = (Ranges::default(), Ranges::default());
        let about = |found: &JournalHeader| found.size == subject.size && found.digest == subject.digest;
        if let Some(found) = entries.subject.as_ref().filter(|found| about(found)) {
            subject.validator.clone_from(&found.validator);
            // A journal that knows more than the file has is of another file.
            let known = entries.ranges(boot);
            if known.iter().all(|range| range.end <= length) {
                (ranges, synced) = (known, entries.synced());
            }
        }
        if ranges.len() == 0 {
            cut(&file, 0)?;
        }
        let journal = Journal::begin(journal, &subject, &ranges, &synced)?;
        let sink = Self {
            epoch: Mutex::new(1),
            data: file,
            journal: Mutex::new(journal),
            have: Mutex::new(Have { ranges, given_up: 0 }),
            changed: Condvar::new(),
            since_sync: AtomicU64::new(0),
            _guard: guard,
        };
        Ok((sink, subject))
    }

    /// Writes pieces that follow each other, and notes them.
    pub(crate) fn write(&self, epoch: Epoch, start: u64, pieces: &[Bytes]) -> Result<()> {
        let current = lock(&self.epoch);
        if *current != epoch {
            return Ok(());
        }
        let mut at = start;
        for piece in pieces {
            let end = at + piece.len() as u64;
            // A byte that is here is never written again: it may have been hashed.
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

    /// Makes what is written durable, as far as another boot is concerned.
    fn sync(&self, epoch: Epoch) -> Result<()> {
        let lines = lock(&self.journal).lines();
        self.data.sync_data()?;
        // Where a new attempt began meanwhile, those lines are gone.
        let current = lock(&self.epoch);
        if *current == epoch { lock(&self.journal).synced(lines) } else { Ok(()) }
    }

    /// The present attempt.
    pub(crate) fn epoch(&self) -> Epoch {
        *lock(&self.epoch)
    }

    /// The state of the file is known now.
    pub(crate) fn identify(&self, validator: &str) -> Result<()> {
        lock(&self.journal).validator(validator)
    }

    /// Drops all bytes, and begins a new attempt.
    pub(crate) fn restart(&self, subject: &JournalHeader) -> Result<()> {
        let mut epoch = lock(&self.epoch);
        *epoch += 1;
        let mut have = lock(&self.have);
        self.data.set_len(0)?;
        lock(&self.journal).reset(subject)?;
        have.ranges = Ranges::default();
        Ok(())
    }

    pub(crate) fn missing(&self, size: u64, chunk: u64) -> Vec<Range<u64>> {
        lock(&self.have).ranges.missing(size, chunk)
    }

    pub(crate) fn len(&self) -> u64 {
        lock(&self.have).ranges.len()
    }

    /// Blocks until there is more without a gap than `past`, and returns up to where; `None` when nobody will bring more.
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

    /// Nobody will bring more in this attempt.
    pub(crate) fn give_up(&self, epoch: Epoch) {
        let mut have = lock(&self.have);
        have.given_up = have.given_up.max(epoch);
        drop(have);
        self.changed.notify_all();
    }

    pub(crate) fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        Ok(self.data.read_exact_at(buffer, at)?)
    }
}

/// Cuts off what a file has beyond a length, and returns its length. One that is no longer is left alone: a file system may
/// take cutting for the beginning of a replacement, and write it to the disk as soon as it is closed (ext4 does).
pub(crate) fn cut(file: &File, limit: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length > limit {
        file.set_len(limit)?;
    }
    Ok(length.min(limit))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
