//! What is held while a model is brought: the model lock, and the places of its files.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use artifact_store::{ModelLock, Partial, PartialFile, ResumableTransfers, Store};
use provisioner_core::RelativePath;

use crate::{Result, adopt::Adoptee};

/// The lock to bring a model, and the partials of its files, until they are blobs.
#[derive(Debug)]
pub(crate) struct StagingSession {
    _lock: ModelLock,
    partials: Mutex<Vec<Partial>>,
    /// That of the small files, where there are many.
    small: Mutex<Option<Partial>>,
    /// Whether a byte was fetched.
    has_fetched: AtomicBool,
    adopted: Mutex<Vec<Adoptee>>,
}

impl StagingSession {
    pub(crate) fn new(lock: ModelLock) -> Self {
        Self {
            _lock: lock,
            partials: Mutex::default(),
            small: Mutex::default(),
            has_fetched: AtomicBool::new(false),
            adopted: Mutex::default(),
        }
    }

    /// Whether a byte was fetched.
    pub(crate) fn has_fetched(&self) -> bool {
        self.has_fetched.load(Ordering::Relaxed)
    }

    /// A byte is about to be fetched.
    pub(crate) fn note_fetched(&self) {
        self.has_fetched.store(true, Ordering::Relaxed);
    }

    /// What was adopted, for the log.
    pub(crate) fn take_adopted(&self) -> Vec<Adoptee> {
        std::mem::take(&mut *locked(&self.adopted))
    }

    pub(crate) fn note(&self, adoptee: Adoptee) {
        locked(&self.adopted).push(adoptee);
    }

    /// Lets the small ones of files of these sizes share a partial, where there are many, or were when somebody died.
    pub(crate) fn share_small(
        &self,
        store: &Store,
        model: &str,
        sizes: &[u64],
        left: &ResumableTransfers,
    ) -> Result<()> {
        if left.has_small(model) || sizes.iter().filter(|size| is_small(**size)).count() >= MANY {
            *locked(&self.small) = Some(store.partial_of_small(model, left)?);
        }
        Ok(())
    }

    /// Says how much the small ones of files of these sizes will take of the disk.
    pub(crate) fn promise_small(&self, sizes: &[u64]) -> Result<()> {
        let small = sizes.iter().filter(|size| is_small(**size));
        locked(&self.small)
            .as_ref()
            .map_or(Ok(()), |partial| partial.promise(small.sum()))
            .map_err(Into::into)
    }

    /// A place for a file, which is kept until its model is committed.
    pub(crate) fn place(&self, store: &Store, wish: &SlotRequest<'_>) -> Result<PartialFile> {
        if let Some(small) = locked(&self.small).as_ref().filter(|_| is_small(wish.size)) {
            return Ok(small.small_file(&wish.identity, wish.path)?);
        }
        let partial = store.partial(&wish.identity, wish.promised, wish.model, wish.left)?;
        let slot = partial.file();
        locked(&self.partials).push(partial);
        Ok(slot)
    }

    /// Gives a place up, and what is there.
    pub(crate) fn give_up(&self, slot: &PartialFile) -> artifact_store::Result<()> {
        let mut partials = locked(&self.partials);
        match partials.iter().position(|partial| slot.data.parent() == Some(partial.folder())) {
            Some(index) => partials.swap_remove(index).discard(),
            None => slot.clear(),
        }
    }

    /// Discards all partials.
    pub(crate) fn let_go(&self) -> artifact_store::Result<()> {
        let partials = std::mem::take(&mut *locked(&self.partials));
        let small = locked(&self.small).take();
        partials.into_iter().chain(small).try_for_each(Partial::discard)
    }
}

/// A file that needs a place.
#[derive(Debug)]
pub(crate) struct SlotRequest<'a> {
    /// What identifies its content.
    pub(crate) identity: String,
    pub(crate) path: &'a RelativePath,
    pub(crate) size: u64,
    /// How much of the disk it will take.
    pub(crate) promised: u64,
    /// The id of the model that it is for.
    pub(crate) model: &'a str,
    pub(crate) left: &'a ResumableTransfers,
}

/// How large a small file is at most: it comes with one write.
const SMALL_BYTES: u64 = 512 << 10;

fn is_small(size: u64) -> bool {
    size <= SMALL_BYTES
}

/// How many small files share a partial. A few have one each, which another model can go on from.
const MANY: usize = 64;

/// A place for a file. Without a lock nothing is kept: nothing can be written either.
pub(crate) fn place(
    store: &Store,
    held: Option<&StagingSession>,
    wish: &SlotRequest<'_>,
) -> Result<PartialFile> {
    match held {
        Some(held) => held.place(store, wish),
        None => Ok(store.partial(&wish.identity, wish.promised, wish.model, wish.left)?.file()),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
