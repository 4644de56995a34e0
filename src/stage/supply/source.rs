//! Transfers files from the source.

use std::sync::Arc;

use artifact_store::ResumableTransfers;
use provisioner_core::{ManifestFile, ModelRef, ProgressEvent, StagedFile};
use transfer::Place;

use crate::{
    context::{Context, run_blocking},
    error::{Error, Result},
    stage::{
        key::PartialKey,
        session::{SlotRequest, StagingSession},
        staged_file::staged_file,
    },
};

/// Transfers a file into a partial, and resumes the partial of an earlier transfer.
pub(crate) async fn transfer(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    file: &ManifestFile,
    session: Arc<StagingSession>,
    left: Arc<ResumableTransfers>,
) -> Result<StagedFile> {
    let id = reference.id();
    let (key, holder, model) = (PartialKey::of(reference, file), Arc::clone(&session), id.clone());
    let (path, size) = (file.path.clone(), file.size);
    let slot = ctx
        .run_blocking(move |ctx| {
            let request = SlotRequest { key, path: &path, size, promised: size, model: &model, left: &left };
            holder.slot(&ctx.store, &request)
        })
        .await?;
    let (data, journal) = (slot.data.clone(), slot.journal.clone());
    let place = Place { data: data.clone(), journal, guard: Arc::clone(&session) as _ };
    let source = ctx.registry.find(reference)?;
    if size > 0 {
        session.note_fetched();
    }
    let fetched = ctx.transfer.fetch(source, &id, file, place, ctx.progress.as_ref()).await;
    if let Err(transfer::Error::Mismatch { .. } | transfer::Error::Changed { .. }) = &fetched {
        // A later call must not resume wrong bytes.
        run_blocking(move || Ok(session.discard(&slot)?)).await?;
    }
    let fetched = fetched?;
    let path = file.path.clone();
    // No other process writes to the partial, and the store sets the file's time back when it takes the file in.
    run_blocking(move || {
        let staged = staged_file(path, data, fetched, |_| true)?;
        // The digest covers exactly so many bytes. A caller would get the bytes behind them unread.
        if staged.stamp.size != size {
            return Err(Error::ChangedWhileRead { path: staged.location });
        }
        Ok(staged)
    })
    .await
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
