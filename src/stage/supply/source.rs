//! Transfers files from the source, or from a mirror of it.

use std::{path::PathBuf, sync::Arc};

use artifact_store::{PartialFile, ResumableTransfers};
use provisioner_core::{Digest, ManifestFile, ModelRef, ProgressEvent, StagedFile};
use transfer::{Fetched, Place};

use crate::{
    context::{Context, run_blocking},
    error::{Error, Result},
    resolve::mirrors::{Supplier, Suppliers},
    stage::{
        key::PartialKey,
        session::{SlotRequest, StagingSession},
        staged_file::staged_file,
    },
};

/// Describes a file whose bytes a transfer wrote into its partial, and hashed.
#[derive(Debug)]
pub(crate) struct TransferredFile {
    location: PathBuf,
    fetched: Fetched,
}

impl TransferredFile {
    /// Returns the file as staged. It opens the file, and may block.
    pub(crate) fn staged(self, file: &ManifestFile) -> Result<StagedFile> {
        // No other process writes to the partial, and the store sets the file's time back when it takes the file in.
        let staged = staged_file(file.path.clone(), self.location, self.fetched, |_| true)?;
        // The digest covers exactly so many bytes. A caller would get the bytes behind them unread.
        if staged.stamp.size != file.size {
            return Err(Error::ChangedWhileRead { path: staged.location.to_path_buf() });
        }
        Ok(staged)
    }
}

/// Transfers a file from the first place that has its bytes.
///
/// # Errors
/// That of the source, which is the last place; at once where this machine is at fault.
pub(crate) async fn transfer(
    ctx: &Arc<Context>,
    suppliers: &Suppliers,
    file: &ManifestFile,
    reference: &ModelRef,
    session: Arc<StagingSession>,
    left: Arc<ResumableTransfers>,
) -> Result<TransferredFile> {
    let mut work = Work { ctx, reference, session: &session, left: &left, slot: None };
    for mirror in suppliers.mirrors_of(file) {
        let transferred = match suppliers.file_at(ctx, mirror, file).await {
            Ok(file) => work.transfer_from(mirror, &file).await,
            Err(error) => Err(error),
        };
        match transferred {
            Err(error) if is_of_the_place(&error) => {
                mirror.skip(ctx, &reference.id(), Some(file.path.as_str()), &error.to_string()).await?;
            }
            transferred => return transferred,
        }
    }
    work.transfer_from(&suppliers.source, &suppliers.file_at(ctx, &suppliers.source, file).await?).await
}

/// Returns whether another place may do better: the error says nothing of this machine.
fn is_of_the_place(error: &Error) -> bool {
    match error {
        Error::Fetch(_) | Error::Core(_) | Error::ChangedWhileRead { .. } => true,
        Error::Transfer(error) => !matches!(**error, transfer::Error::Disk(_)),
        _ => false,
    }
}

/// Holds what the transfers of one file need, from whichever place.
struct Work<'a> {
    ctx: &'a Arc<Context>,
    reference: &'a ModelRef,
    session: &'a Arc<StagingSession>,
    left: &'a Arc<ResumableTransfers>,
    /// The partial of the file, with what a place sent before it failed.
    slot: Option<PartialFile>,
}

impl Work<'_> {
    /// Returns the partial of a file: the one that another place began, or that of an earlier transfer, or a new one.
    async fn slot(&mut self, file: &ManifestFile) -> Result<PartialFile> {
        if let Some(slot) = self.slot.take() {
            return Ok(slot);
        }
        let key = PartialKey::of(self.reference, file);
        if let Some(slot) = self.session.small_slot(&key, &file.path, file.size) {
            return Ok(slot);
        }
        let (session, model) = (Arc::clone(self.session), self.reference.id());
        let (path, size, left) = (file.path.clone(), file.size, Arc::clone(self.left));
        let find = move |ctx: &Context| {
            let request = SlotRequest { key, path: &path, size, promised: size, model: &model, left: &left };
            session.slot(&ctx.store, &request)
        };
        self.ctx.run_blocking(find).await
    }

    /// Transfers a file from one place into its partial, and resumes what is there.
    async fn transfer_from(&mut self, supplier: &Supplier, file: &ManifestFile) -> Result<TransferredFile> {
        let slot = self.slot(file).await?;
        let Self { ctx, reference, session, .. } = *self;
        let (data, journal) = (slot.data.clone(), slot.journal.clone());
        let place = Place { data: data.clone(), journal, guard: Arc::clone(session) as _ };
        let source = supplier.fetcher(ctx, reference)?;
        if file.size > 0 {
            session.note_fetched();
        }
        let transfer =
            if supplier.is_mirror() { ctx.transfer.for_one_of_several() } else { ctx.transfer.clone() };
        let fetched = transfer.fetch(source, &reference.id(), file, place, ctx.progress.as_ref()).await;
        if let Err(transfer::Error::Mismatch { .. } | transfer::Error::Changed { .. }) = &fetched {
            // A later call must not resume wrong bytes.
            let session = Arc::clone(session);
            run_blocking(move || Ok(session.discard(&slot)?)).await?;
        } else if fetched.is_err() {
            self.slot = Some(slot);
        }
        let Fetched { sha256, git_sha1 } = fetched?;
        let fetched = Fetched { sha256: shared(sha256, file), git_sha1: git_sha1.map(|id| shared(id, file)) };
        Ok(TransferredFile { location: data, fetched })
    }
}

/// Returns a digest as the file's listing has it, where the two are equal: clones share their text.
fn shared(found: Digest, file: &ManifestFile) -> Digest {
    file.digest.as_ref().filter(|listed| **listed == found).cloned().unwrap_or(found)
}

/// Tells the progress sink how much of a model the source sends: for each file its size, and how much of it is missing
/// here, in bytes.
pub(crate) fn show_fetching(ctx: &Context, reference: &ModelRef, sizes: &[(u64, u64)]) {
    if sizes.is_empty() {
        return;
    }
    let sum = |bytes: fn(&(u64, u64)) -> u64| sizes.iter().map(bytes).fold(0, u64::saturating_add);
    let (total_bytes, to_fetch) = (sum(|(size, _)| *size), sum(|(_, to_fetch)| *to_fetch));
    let present_bytes = total_bytes.saturating_sub(to_fetch);
    let (id, files) = (reference.id(), sizes.len());
    ctx.progress.on_event(&ProgressEvent::FetchPlanned { id, files, total_bytes, present_bytes });
}
