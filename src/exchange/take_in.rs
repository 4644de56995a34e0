//! Links or copies the files of an import into the store's staging.

use std::{path::Path, sync::Arc};

use artifact_store::{AdoptedFile, AdoptionTarget, BegunAdoption, ResumableTransfers};
use provisioner_core::{AdoptMode, ManifestFile, Question, StagedModel};

use super::found::Found;
use crate::{
    catalog::provenance::AdoptionEntry,
    context::{CancelOnDrop, Context},
    error::{Error, Result},
    stage::{
        key::PartialKey,
        read_progress::ReadProgress,
        session::{SlotRequest, StagingSession},
        supply::local_caches::{staged, warn_of_copies},
    },
};

/// Links or copies all files into the store's staging.
pub(super) async fn take_in(
    ctx: &Arc<Context>,
    found: &Found,
    mode: AdoptMode,
    session: &Arc<StagingSession>,
) -> Result<StagedModel> {
    let (found, session) = (found.clone(), Arc::clone(session));
    let cancel = CancelOnDrop::default();
    let is_cancelled = cancel.watch();
    ctx.run_blocking(move |ctx| {
        let began = ctx.clock.now();
        ctx.store.sweep()?;
        if mode == AdoptMode::Copy {
            ctx.store.check_space(found.manifest.size_bytes())?;
        }
        let id = found.manifest.reference().id();
        let sizes: Vec<_> = found.manifest.files().iter().map(|file| file.size).collect();
        let reading = ReadProgress::start(&ctx.progress, &id, &sizes);
        let mut watch = |bytes| {
            reading.add(bytes);
            !is_cancelled()
        };
        let (mut files, mut all) = (Vec::new(), Vec::<AdoptedFile>::new());
        for (file, location, taking) in begin(ctx, &found, mode, &session, &sizes)? {
            let taken = ctx.store.finish_adoption(taking, &mut watch)?;
            let adopted = taken.ok_or_else(|| changed(location))?;
            let staged = staged(file, &adopted, began)?;
            ctx.ask(&Question::Format { path: file.path.as_str(), format: staged.format })?;
            files.push(staged);
            session.note_adopted(AdoptionEntry::new(file, &adopted));
            all.push(adopted);
        }
        drop(reading);
        warn_of_copies(&id, all.iter());
        Ok(StagedModel::new(found.manifest, files)?)
    })
    .await
}

/// Begins to take in all files, so that the times of their links settle together.
fn begin<'a>(
    ctx: &Context,
    found: &'a Found,
    mode: AdoptMode,
    session: &StagingSession,
    sizes: &[u64],
) -> Result<Vec<(&'a ManifestFile, &'a Path, BegunAdoption)>> {
    let (id, left) = (found.manifest.reference().id(), ResumableTransfers::default());
    session.share_small(&ctx.store, &id, sizes, &left)?;
    let mut begun = Vec::new();
    for (file, location) in found.manifest.files().iter().zip(&found.locations) {
        let request = SlotRequest {
            key: PartialKey::Imported { model: id.clone(), path: file.path.clone() },
            path: &file.path,
            size: file.size,
            promised: if mode == AdoptMode::Copy { file.size } else { 0 },
            model: &id,
            left: &left,
        };
        let slot = session.slot(&ctx.store, &request)?;
        let wanted = AdoptionTarget { size_bytes: file.size, digest: None };
        let taking = ctx.store.begin_adoption(&slot, &wanted, location, mode)?;
        begun.push((file, location.as_path(), taking.ok_or_else(|| changed(location))?));
    }
    Ok(begun)
}

fn changed(location: &Path) -> Error {
    Error::ChangedWhileRead { path: location.to_owned() }
}
