//! Holds what a call needs while it stages a model: the model's lock, and one partial for each file.
//!
//! A model that is used in place needs neither, for the version of its record guards it. In a cache that this process may
//! not write to, a call gets neither, and still judges what the cache has. In both cases the session keeps nothing, and
//! its caller does not ask which case it is.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use artifact_store::{LockWait, ModelLock, Partial, PartialFile, ResumableTransfers, Store, Waiting};
use provisioner_core::{CatalogRecord, ModelRef, ProgressEvent, RelativePath, ScratchFolder, Version};

use super::key::PartialKey;
use crate::{
    catalog::provenance::AdoptionEntry,
    context::{CancelOnDrop, Context},
    error::{Error, Result},
};

/// The largest size of a small file, in bytes: one write stores all of it.
const SMALL_BYTES: u64 = 512 << 10;

/// From how many small files on they share a partial. Fewer have a partial each, which another model can resume.
const MANY: usize = 64;

/// A call that waits for a shorter time does not report it.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// Holds the model's lock, and the partials of its files until they are blobs.
#[derive(Debug, Default)]
pub(crate) struct StagingSession {
    /// `None` for a session that keeps nothing.
    lock: Option<ModelLock>,
    partials: Mutex<Vec<Partial>>,
    /// The shared partial of the small files, where there are many.
    small: Mutex<Option<Partial>>,
    /// The scratch folder of the program that downloads the model.
    scratch: Mutex<Option<Partial>>,
    /// Whether a transfer has begun.
    has_fetched: AtomicBool,
    adopted: Mutex<Vec<AdoptionEntry>>,
}

/// Describes a file that needs a partial.
#[derive(Debug)]
pub(crate) struct SlotRequest<'a> {
    /// The key of its content.
    pub(crate) key: PartialKey,
    pub(crate) path: &'a RelativePath,
    pub(crate) size: u64,
    /// How many bytes of the disk it will take.
    pub(crate) promised: u64,
    /// The id of the model that needs it.
    pub(crate) model: &'a str,
    pub(crate) left: &'a ResumableTransfers,
}

impl StagingSession {
    /// Begins to stage a model whose record is at `version`, or which has none.
    ///
    /// A fetched model gets its lock, for which the call may wait. Where this process may not write to the cache and the
    /// model is `recorded`, the session keeps nothing.
    ///
    /// # Errors
    /// A [conflict](Error::is_conflict) where another process changed the record before the call had the lock.
    pub(crate) async fn begin(
        ctx: &Arc<Context>,
        reference: &ModelRef,
        version: Option<Version>,
        recorded: Option<&CatalogRecord>,
    ) -> Result<Arc<Self>> {
        if reference.is_local() {
            return Ok(Arc::default());
        }
        let id = reference.id();
        let session = match Self::wait(ctx, &id).await {
            Err(error) if recorded.is_some() && error.is_unwritable() => return Ok(Arc::default()),
            session => session?,
        };
        if ctx.catalog.get(&id).await?.map(|found| found.version) == version {
            Ok(session)
        } else {
            Err(Error::conflict(&id))
        }
    }

    /// Waits for the lock of a model, and reports which process has it.
    pub(crate) async fn wait(ctx: &Arc<Context>, id: &str) -> Result<Arc<Self>> {
        Self::wait_within(ctx, id, ctx.lock_wait).await
    }

    /// Takes the lock of a model, where no other process has it.
    pub(crate) async fn take_now(ctx: &Arc<Context>, id: &str) -> Result<Arc<Self>> {
        let wait = LockWait { limit: Some(Duration::ZERO), ..ctx.lock_wait };
        Self::wait_within(ctx, id, wait).await
    }

    async fn wait_within(ctx: &Arc<Context>, id: &str, wait: LockWait) -> Result<Arc<Self>> {
        let id = id.to_owned();
        let cancel = CancelOnDrop::default();
        let is_cancelled = cancel.watch();
        ctx.run_blocking(move |ctx| {
            let (began, mut is_told) = (Instant::now(), false);
            let mut watch = |waiting: &Waiting| {
                show_waiting(ctx, &id, waiting);
                if !is_told && began.elapsed() >= WORTH_A_WORD {
                    is_told = true;
                    tracing::warn!("{}", waiting.told(&id));
                }
                !is_cancelled()
            };
            let lock = ctx.store.model_lock(&id, wait, &mut watch)?;
            Ok(Arc::new(Self { lock: Some(lock), ..Self::default() }))
        })
        .await
    }

    fn keeps_nothing(&self) -> bool {
        self.lock.is_none()
    }

    /// Returns whether a transfer has begun.
    pub(crate) fn has_fetched(&self) -> bool {
        self.has_fetched.load(Ordering::Relaxed)
    }

    /// Notes that a transfer is about to begin.
    pub(crate) fn note_fetched(&self) {
        self.has_fetched.store(true, Ordering::Relaxed);
    }

    /// Returns the adopted files, for the log.
    pub(crate) fn take_adopted(&self) -> Vec<AdoptionEntry> {
        std::mem::take(&mut *locked(&self.adopted))
    }

    /// Notes an adopted file.
    pub(crate) fn note_adopted(&self, file: AdoptionEntry) {
        locked(&self.adopted).push(file);
    }

    /// Lets the small files among those of these sizes share a partial: where there are many, and where they shared one
    /// before a process died.
    pub(crate) fn share_small(
        &self,
        store: &Store,
        model: &str,
        sizes: &[u64],
        left: &ResumableTransfers,
    ) -> Result<()> {
        let are_many = || sizes.iter().filter(|size| is_small(**size)).count() >= MANY;
        if !self.keeps_nothing() && (left.has_small(model) || are_many()) {
            *locked(&self.small) = Some(store.partial_of_small(model, left)?);
        }
        Ok(())
    }

    /// Reserves the disk that the small files among those of these sizes will take.
    pub(crate) fn promise_small(&self, sizes: &[u64]) -> Result<()> {
        let small = sizes.iter().filter(|size| is_small(**size));
        locked(&self.small)
            .as_ref()
            .map_or(Ok(()), |partial| partial.promise(small.sum()))
            .map_err(Into::into)
    }

    /// Returns the place of a file in the shared partial of the small files, if it has one there. It opens nothing.
    pub(crate) fn small_slot(&self, key: &PartialKey, path: &RelativePath, size: u64) -> Option<PartialFile> {
        let small = locked(&self.small);
        small.as_ref().filter(|_| is_small(size)).map(|small| small.small_file(&key.to_string(), path))
    }

    /// Returns a partial for a file. The session keeps it until the commit of its model.
    pub(crate) fn slot(&self, store: &Store, request: &SlotRequest<'_>) -> Result<PartialFile> {
        if let Some(slot) = self.small_slot(&request.key, request.path, request.size) {
            return Ok(slot);
        }
        let partial =
            store.partial(&request.key.to_string(), request.promised, request.model, request.left)?;
        let slot = partial.file();
        if !self.keeps_nothing() {
            locked(&self.partials).push(partial);
        }
        Ok(slot)
    }

    /// Returns the scratch folder of the program that downloads a model, with what an earlier program left there. The session keeps it
    /// until the commit of the model.
    pub(crate) fn scratch(&self, store: &Store, model: &str) -> Result<ScratchFolder> {
        let mut scratch = locked(&self.scratch);
        if let Some(partial) = scratch.as_ref() {
            return Ok(ScratchFolder::new(partial.scratch()));
        }
        let partial = store.partial_of_scratch(model, &store.resumable()?)?;
        let folder = ScratchFolder::new(partial.scratch());
        *scratch = Some(partial);
        Ok(folder)
    }

    /// Reserves the disk that the scratch folder will take.
    pub(crate) fn promise_scratch(&self, size_bytes: u64) -> Result<()> {
        let promise = |partial: &Partial| partial.promise(size_bytes);
        Ok(locked(&self.scratch).as_ref().map_or(Ok(()), promise)?)
    }

    /// Discards the scratch folder, and all that is in it.
    pub(crate) fn discard_scratch(&self) -> artifact_store::Result<()> {
        locked(&self.scratch).take().map_or(Ok(()), Partial::discard)
    }

    /// Discards a partial, and the bytes in it.
    pub(crate) fn discard(&self, slot: &PartialFile) -> artifact_store::Result<()> {
        if self.keeps_nothing() {
            return Ok(());
        }
        let mut partials = locked(&self.partials);
        match partials.iter().position(|partial| slot.data.parent() == Some(partial.folder())) {
            Some(index) => partials.swap_remove(index).discard(),
            None => slot.clear(),
        }
    }

    /// Discards all partials.
    pub(crate) fn discard_all(&self) -> artifact_store::Result<()> {
        let partials = std::mem::take(&mut *locked(&self.partials));
        let others = [locked(&self.small).take(), locked(&self.scratch).take()];
        partials.into_iter().chain(others.into_iter().flatten()).try_for_each(Partial::discard)
    }
}

fn show_waiting(ctx: &Context, id: &str, waiting: &Waiting) {
    let owner = waiting.holder.as_ref();
    ctx.progress.on_event(&ProgressEvent::Waiting {
        id: id.to_owned(),
        pid: owner.map(|owner| owner.pid),
        program: owner.map(|owner| owner.program.clone()),
        host: owner.map(|owner| owner.host.clone()),
        since: waiting.since,
        done_bytes: waiting.done_bytes,
        size_bytes: waiting.size_bytes,
    });
}

fn is_small(size: u64) -> bool {
    size <= SMALL_BYTES
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
