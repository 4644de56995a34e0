//! Stages a model that is elsewhere: each file from the store, from another tool, or from the source.

use std::{collections::HashMap, future::ready, sync::Arc};

use artifact_store::{AdoptedFile, Blob, ResumableTransfers};
use futures_util::{FutureExt, TryStreamExt, future::BoxFuture, stream::FuturesUnordered};
use provisioner_core::{
    Digest, Manifest, ManifestFile, ModelRef, Question, RelativePath, StagedFile, StagedModel, Timestamp,
};

use super::{
    acquisition::{AcquisitionPlan, plan_acquisition},
    session::StagingSession,
    supply::{
        local_caches::{self, FILES_AT_ONCE, adopt},
        program::download,
        source::{show_fetching, transfer},
        store::{blobs, from_blob},
    },
};
use crate::{
    catalog::provenance::AdoptionEntry,
    context::{Context, run_blocking},
    error::Result,
    resolve::{
        mirrors::{Suppliers, Supply},
        recall::Resolution,
    },
    space::reserve::reserve,
};

/// Stages all files of a manifest, each from the cheapest place that has it.
///
/// # Errors
/// The source cannot be asked, and a file is not on this machine; the disk has too little space; the source fails.
pub(crate) async fn acquire(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    supply: Supply,
    session: &Arc<StagingSession>,
) -> Result<StagedModel> {
    let Supply { resolution: Resolution { manifest, source }, suppliers } = supply;
    let (id, began) = (reference.id(), ctx.clock.now());
    let blobs = blobs(ctx, &manifest).await?;
    let missing: Vec<_> = missing(&manifest, &blobs).cloned().collect();
    let found: Vec<_> = blobs.iter().flatten().map(|blob| blob.sha256.clone()).collect();
    let AcquisitionPlan { candidates, left, transfers, to_fetch, needed_bytes, nowhere } =
        plan_acquisition(ctx, reference, missing.clone(), session).await?;
    source.check(&id, nowhere.as_ref())?;
    reserve(ctx, needed_bytes, &found, &transfers).await?;
    let has_candidates = !candidates.is_empty();
    let adopted = adopt(ctx, reference, candidates, session, &left).await?;
    let is_adopted = |file: &ManifestFile| adopted_as(&adopted, file).is_some();
    source.check(&id, missing.iter().find(|file| !is_adopted(file)).map(|file| &file.path))?;
    // Of each file that the source must send: its size, and how much of it is missing here.
    let fetched = missing.iter().zip(to_fetch).filter(|(file, _)| !is_adopted(file));
    let sizes: Vec<_> = fetched.map(|(file, to_fetch)| (file.size, to_fetch)).collect();
    if has_candidates {
        // A candidate of another tool may have had other bytes.
        let needed_bytes = sizes.iter().map(|(_, to_fetch)| *to_fetch).fold(0, u64::saturating_add);
        reserve(ctx, needed_bytes, &found, &transfers).await?;
    }
    show_fetching(ctx, reference, &sizes);
    let (promised, small) = (sizes.into_iter().map(|(size, _)| size).collect::<Vec<_>>(), session.clone());
    run_blocking(move || small.promise_small(&promised)).await?;
    for file in &missing {
        if let Some(adopted) = adopted_as(&adopted, file) {
            session.note_adopted(AdoptionEntry::new(file, adopted));
        }
    }
    let to_fetch: Vec<_> = missing.iter().filter(|file| !is_adopted(file)).cloned().collect();
    let downloaded = download(ctx, &manifest, to_fetch, session, &left).await?;
    let gathering =
        Gathering { ctx, reference, suppliers: &suppliers, session, left, adopted, downloaded, began };
    let staged = gathering.gather(&manifest, blobs).await?;
    for file in &staged {
        ctx.ask(&Question::Format { path: file.path.as_str(), format: file.format })?;
    }
    Ok(StagedModel::new(manifest, staged)?)
}

/// Returns the files that the store lacks.
fn missing<'a>(manifest: &'a Manifest, blobs: &'a [Option<Blob>]) -> impl Iterator<Item = &'a ManifestFile> {
    manifest.files().iter().zip(blobs).filter(|(_, blob)| blob.is_none()).map(|(file, _)| file)
}

/// Returns the adopted file that has the bytes of a file of a manifest.
fn adopted_as<'a>(adopted: &'a HashMap<Digest, AdoptedFile>, file: &ManifestFile) -> Option<&'a AdoptedFile> {
    adopted.get(file.digest.as_ref()?)
}

/// Stages files, each from the place that has it.
struct Gathering<'a> {
    ctx: &'a Arc<Context>,
    reference: &'a ModelRef,
    suppliers: &'a Suppliers,
    session: &'a Arc<StagingSession>,
    left: Arc<ResumableTransfers>,
    adopted: HashMap<Digest, AdoptedFile>,
    /// The files that the program of the fetcher downloaded.
    downloaded: HashMap<RelativePath, StagedFile>,
    /// A time before any byte was read.
    began: Timestamp,
}

impl Gathering<'_> {
    async fn gather(&self, manifest: &Manifest, blobs: Vec<Option<Blob>>) -> Result<Vec<StagedFile>> {
        // The work on a file takes more memory than its line in a listing, so only a few files are worked on at once.
        let (mut waiting, mut under_way) = (manifest.files().iter().zip(blobs), FuturesUnordered::new());
        let mut staged = Vec::new();
        loop {
            for (file, blob) in waiting.by_ref().take(FILES_AT_ONCE - under_way.len()) {
                under_way.push(self.stage(file, blob));
            }
            match under_way.try_next().await? {
                Some(file) => staged.push(file),
                None => return Ok(staged),
            }
        }
    }

    fn stage<'a>(&'a self, file: &'a ManifestFile, blob: Option<Blob>) -> BoxFuture<'a, Result<StagedFile>> {
        if let Some(downloaded) = self.downloaded.get(&file.path) {
            return ready(Ok(downloaded.clone())).boxed();
        }
        match (blob, adopted_as(&self.adopted, file)) {
            (Some(blob), _) => from_blob(file, blob, self.began).boxed(),
            (None, Some(adopted)) => {
                let (file, adopted, began) = (file.clone(), adopted.clone(), self.began);
                run_blocking(move || local_caches::staged(&file, &adopted, began)).boxed()
            }
            (None, None) => {
                let (session, left) = (Arc::clone(self.session), Arc::clone(&self.left));
                transfer(self.ctx, self.suppliers, file, self.reference, session, left).boxed()
            }
        }
    }
}
