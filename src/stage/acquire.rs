//! Stages a model that is elsewhere: each file from the store, from another tool, or from the source.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    iter::from_fn,
    sync::{Arc, Mutex, PoisonError},
};

use artifact_store::{AdoptedFile, Blob, ResumableTransfers};
use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use provisioner_core::{
    Digest, Manifest, ManifestFile, ModelRef, Question, RelativePath, StagedFile, StagedModel, Timestamp,
};

use super::{
    acquisition::{AcquisitionPlan, plan_acquisition},
    session::StagingSession,
    supply::{
        local_caches::{self, FILES_AT_ONCE, adopt},
        program::download,
        source::{TransferredFile, show_fetching, transfer},
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
    let missing = missing(&manifest, &blobs).cloned().collect();
    let found: Vec<_> = blobs.iter().flatten().map(|blob| blob.sha256.clone()).collect();
    let AcquisitionPlan { mut missing, candidates, left, transfers, to_fetch, needed_bytes, nowhere } =
        plan_acquisition(ctx, reference, missing, session).await?;
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
    missing.retain(|file| !is_adopted(file));
    let downloaded = download(ctx, &manifest, missing, session, &left).await?;
    let gathering = Gathering { ctx, reference, suppliers, session, left, adopted, downloaded };
    let gathered = gathering.gather(&manifest, blobs).await?;
    let manifest = manifest.stored();
    let staged = stage(&manifest, gathered, began).await?;
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

/// Says where the bytes of a file lie on this machine now.
enum GatheredFile {
    Blob(Blob),
    Adopted(Box<AdoptedFile>),
    Downloaded(Box<StagedFile>),
    Transferred(TransferredFile),
}

impl GatheredFile {
    /// Returns the file as staged. `began` is a time before any byte was read. It opens the file, and may block.
    fn staged(self, file: &ManifestFile, began: Timestamp) -> Result<StagedFile> {
        match self {
            Self::Blob(blob) => from_blob(file, blob, began),
            Self::Adopted(adopted) => local_caches::staged(file, &adopted, began),
            Self::Downloaded(staged) => Ok(*staged),
            Self::Transferred(transferred) => transferred.staged(file),
        }
    }
}

/// Stages the gathered files of a manifest, each of which comes with its index there.
async fn stage(
    manifest: &Manifest,
    gathered: Vec<(usize, GatheredFile)>,
    began: Timestamp,
) -> Result<Vec<StagedFile>> {
    let manifest = manifest.clone();
    run_blocking(move || {
        let files = gathered.into_iter();
        files.map(|(index, gathered)| gathered.staged(&manifest.files()[index], began)).collect()
    })
    .await
}

/// Gathers files, each from the place that has it.
struct Gathering<'a> {
    ctx: &'a Arc<Context>,
    reference: &'a ModelRef,
    suppliers: Suppliers,
    session: &'a Arc<StagingSession>,
    left: Arc<ResumableTransfers>,
    adopted: HashMap<Digest, AdoptedFile>,
    /// The files that the program of the fetcher downloaded.
    downloaded: HashMap<RelativePath, StagedFile>,
}

impl Gathering<'_> {
    /// Returns each file of a manifest with its index there.
    async fn gather(
        mut self,
        manifest: &Manifest,
        blobs: Vec<Option<Blob>>,
    ) -> Result<Vec<(usize, GatheredFile)>> {
        let (mut gathered, mut missing) = (Vec::with_capacity(blobs.len()), Vec::new());
        for (index, (file, blob)) in manifest.files().iter().zip(blobs).enumerate() {
            match self.found(file, blob) {
                Some(found) => gathered.push((index, found)),
                None => missing.push(index),
            }
        }
        missing.sort_by_key(|index| Reverse(manifest.files()[*index].size));
        let missing = &Mutex::new(VecDeque::from(missing));
        let lane = |next: fn(&mut VecDeque<usize>) -> Option<usize>| {
            let next = move || next(&mut missing.lock().unwrap_or_else(PoisonError::into_inner));
            let transfers = from_fn(next).map(|index| self.transfer(index, &manifest.files()[index]));
            // The work on a file takes more memory than its line in a listing, so only a few files are worked on at once.
            stream::iter(transfers).buffer_unordered(FILES_AT_ONCE / 2).try_collect::<Vec<_>>()
        };
        // The large files keep the network busy. Beside them come the small ones, of which each costs the time of an answer.
        let (large, small) = try_join(lane(VecDeque::pop_front), lane(VecDeque::pop_back)).await?;
        gathered.extend(large.into_iter().chain(small));
        Ok(gathered)
    }

    /// Returns a file that is on this machine. `None` where the source, or a mirror, must send it.
    fn found(&mut self, file: &ManifestFile, blob: Option<Blob>) -> Option<GatheredFile> {
        let downloaded =
            self.downloaded.remove(&file.path).map(|file| GatheredFile::Downloaded(Box::new(file)));
        let adopted =
            || adopted_as(&self.adopted, file).map(|file| GatheredFile::Adopted(Box::new(file.clone())));
        downloaded.or_else(|| blob.map(GatheredFile::Blob)).or_else(adopted)
    }

    async fn transfer(&self, index: usize, file: &ManifestFile) -> Result<(usize, GatheredFile)> {
        let (session, left) = (Arc::clone(self.session), Arc::clone(&self.left));
        let transferred = transfer(self.ctx, &self.suppliers, file, self.reference, session, left).await?;
        Ok((index, GatheredFile::Transferred(transferred)))
    }
}
