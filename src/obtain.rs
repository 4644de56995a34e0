//! Bringing the files of a model that is elsewhere: from the store, where it has them already; from other tools' files on
//! this machine; or over a transfer.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use artifact_store::{Blob, LockWait, ResumableTransfers, Waiting};
use fs_err::File;
use futures_util::{
    FutureExt, TryStreamExt,
    future::{BoxFuture, ready},
    stream::FuturesUnordered,
};
use provisioner_core::{
    CatalogRecord, Digest, DigestAlgorithm, Format, Locator, Manifest, ManifestFile, ModelRef, ProgressEvent,
    Question, RelativePath, StagedFile, StagedModel, Stamp, Timestamp, VerifiedModel,
};
use transfer::{Fetched, Place};

use crate::{
    ModelProvisioner, Result,
    adopt::{self, Adoptee, FileCandidates},
    bring::MaybeSession,
    held::{SlotRequest, StagingSession, place},
    measure::ReadProgress,
    offline::Resolution,
    plan::identity,
    provisioner::{CancelOnDrop, Parts, blocking},
};

/// What is to be expected of missing files.
#[derive(Default)]
struct AcquisitionPlan {
    /// What there may be of them elsewhere on this machine.
    leads: Vec<FileCandidates>,
    /// What unfinished transfers left.
    left: Arc<ResumableTransfers>,
    /// Those of them that the model can go on with.
    transfers: Arc<[PathBuf]>,
    /// How many bytes of each would still have to be fetched.
    to_fetch: Vec<u64>,
    /// How many bytes the disk must have.
    needed_bytes: u64,
    /// The first file that is not to be found on this machine.
    nowhere: Option<RelativePath>,
}

/// How many files are brought at once. The connections are shared among them.
pub(crate) const FILES_AT_ONCE: usize = 8;

/// A wait that is shorter is not worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

impl ModelProvisioner {
    /// Waits for the lock to bring a model, and shows for whom.
    pub(crate) async fn lock(&self, id: &str) -> Result<Arc<StagingSession>> {
        self.lock_within(id, self.parts.lock_wait).await
    }

    /// Takes the lock to bring a model, where no other process has it.
    pub(crate) async fn lock_now(&self, id: &str) -> Result<Arc<StagingSession>> {
        let wait = LockWait { limit: Some(Duration::ZERO), ..self.parts.lock_wait };
        self.lock_within(id, wait).await
    }

    async fn lock_within(&self, id: &str, wait: LockWait) -> Result<Arc<StagingSession>> {
        let (parts, id) = (Arc::clone(&self.parts), id.to_owned());
        let given_up = CancelOnDrop::default();
        let is_given_up = given_up.watch();
        blocking(move || {
            let (began, mut is_told) = (Instant::now(), false);
            let mut watch = |waiting: &Waiting| {
                parts.show_waiting(&id, waiting);
                if !is_told && began.elapsed() >= WORTH_A_WORD {
                    is_told = true;
                    tracing::warn!("{}", waiting.told(&id));
                }
                !is_given_up()
            };
            let lock = parts.store.model_lock(&id, wait, &mut watch)?;
            Ok(Arc::new(StagingSession::new(lock)))
        })
        .await
    }

    /// Brings all files of a manifest into the store's staging.
    pub(crate) async fn obtain(
        &self,
        reference: &ModelRef,
        resolution: Resolution,
        lock: MaybeSession,
    ) -> Result<StagedModel> {
        let Resolution { manifest, source } = resolution;
        let began = self.parts.clock.now();
        let blobs = self.blobs(&manifest).await?;
        let missing = manifest.files().iter().zip(&blobs).filter(|(_, blob)| blob.is_none());
        let missing: Vec<_> = missing.map(|(file, _)| file.clone()).collect();
        let found: Vec<_> = blobs.iter().flatten().map(|blob| blob.sha256.clone()).collect();
        let AcquisitionPlan { leads, left, transfers, to_fetch, needed_bytes, nowhere } =
            self.look_out(reference, missing.clone(), lock.clone()).await?;
        source.check(&reference.id(), nowhere.as_ref())?;
        self.find_space(needed_bytes, &found, &transfers).await?;
        let has_leads = !leads.is_empty();
        let adopted = self.adopt(reference, leads, &lock, &left).await?;
        let of = |file: &ManifestFile| adopted.get(file.digest.as_ref()?);
        let to_be_fetched = missing.iter().find(|file| of(file).is_none());
        source.check(&reference.id(), to_be_fetched.map(|file| &file.path))?;
        if has_leads {
            // What was found may have been something else.
            let missing = missing.iter().zip(&to_fetch).filter(|(file, _)| of(file).is_none());
            let sizes = missing.map(|(_, to_fetch)| *to_fetch);
            self.find_space(sizes.fold(0, u64::saturating_add), &found, &transfers).await?;
        }
        let fetched = missing.iter().zip(to_fetch).filter(|(file, _)| of(file).is_none());
        let sizes: Vec<_> = fetched.map(|(file, to_fetch)| (file.size, to_fetch)).collect();
        self.parts.show_fetching(reference, &sizes);
        self.promise_small(&lock, sizes.into_iter().map(|(size, _)| size).collect()).await?;
        if let Some(held) = &lock {
            let adopted = manifest.files().iter().zip(&blobs).filter(|(_, blob)| blob.is_none());
            adopted
                .filter_map(|(file, _)| Some(Adoptee::new(file, of(file)?)))
                .for_each(|adoptee| held.note(adoptee));
        }
        // The work on a file is larger than what is listed of it, so only that of a few files is there at once.
        let (mut waiting, mut under_way) = (manifest.files().iter().zip(blobs), FuturesUnordered::new());
        let mut staged = Vec::new();
        loop {
            for (file, blob) in waiting.by_ref().take(FILES_AT_ONCE - under_way.len()) {
                let work: BoxFuture<'_, Result<StagedFile>> = match (blob, of(file)) {
                    (Some(blob), _) => from_blob(file, blob, began).boxed(),
                    (None, Some(adopted)) => ready(Ok(adopt::staged(file, adopted, began))).boxed(),
                    (None, None) => self.transfer(reference, file, lock.clone(), Arc::clone(&left)).boxed(),
                };
                under_way.push(work);
            }
            match under_way.try_next().await? {
                Some(file) => staged.push(file),
                None => break,
            }
        }
        drop(under_way);
        for file in &staged {
            self.parts.ask(&Question::Format { path: file.path.as_str(), format: file.format })?;
        }
        Ok(StagedModel::new(manifest, staged)?)
    }

    /// Looks for what there is of missing files. From here on small ones have a place.
    async fn look_out(
        &self,
        reference: &ModelRef,
        missing: Vec<ManifestFile>,
        lock: MaybeSession,
    ) -> Result<AcquisitionPlan> {
        let (parts, reference) = (Arc::clone(&self.parts), reference.clone());
        blocking(move || {
            parts.store.sweep()?;
            let left = parts.store.resumable()?;
            if missing.is_empty() {
                return Ok(AcquisitionPlan { left: Arc::new(left), ..AcquisitionPlan::default() });
            }
            let foreign = parts.store.foreign(&parts.adoption, &reference);
            let (mut leads, mut needed_bytes, mut nowhere) = (Vec::new(), 0u64, None);
            let to_fetch: Vec<_> = missing.iter().map(|file| to_fetch(&reference, file, &left)).collect();
            for (file, to_fetch) in missing.iter().zip(&to_fetch) {
                let lead = FileCandidates::of(file, &foreign);
                if lead.is_none() && nowhere.is_none() {
                    nowhere = Some(file.path.clone());
                }
                needed_bytes =
                    needed_bytes.saturating_add(lead.as_ref().map_or(*to_fetch, FileCandidates::space_bytes));
                leads.extend(lead);
            }
            // What is left of them has another name from here on.
            if let Some(held) = lock {
                let sizes: Vec<_> = missing.iter().map(|file| file.size).collect();
                held.share_small(&parts.store, &reference.id(), &sizes, &left)?;
            }
            let of = |file: &ManifestFile| left.folders_of(&identity(&reference, file)).to_vec();
            let transfers = missing.iter().flat_map(of).collect();
            Ok(AcquisitionPlan { leads, left: Arc::new(left), transfers, to_fetch, needed_bytes, nowhere })
        })
        .await
    }

    /// Says how much the small ones among files will take, which are about to be fetched.
    async fn promise_small(&self, lock: &MaybeSession, sizes: Vec<u64>) -> Result<()> {
        let Some(held) = lock.clone() else { return Ok(()) };
        blocking(move || held.promise_small(&sizes)).await
    }

    /// Makes sure that there is space for so many bytes, beside the blobs and the transfers that were found.
    async fn find_space(
        &self,
        needed_bytes: u64,
        found: &[Digest],
        transfers: &Arc<[PathBuf]>,
    ) -> Result<()> {
        self.make_room(needed_bytes, found.to_vec(), Arc::clone(transfers)).await?;
        let parts = Arc::clone(&self.parts);
        blocking(move || Ok(parts.store.check_space(needed_bytes)?)).await
    }

    /// What the store has already, of each file.
    async fn blobs(&self, manifest: &Manifest) -> Result<Vec<Option<Blob>>> {
        let (parts, manifest) = (Arc::clone(&self.parts), manifest.clone());
        blocking(move || {
            let known = parts.store.git_ids(&manifest.view_path()?)?;
            manifest.files().iter().map(|file| Ok(known.blob(file)?)).collect()
        })
        .await
    }

    /// A model that was fetched before, staged from its blobs alone; `None` where one of them is missing.
    pub(crate) async fn stage_blobs(
        &self,
        reference: &ModelRef,
        record: &CatalogRecord,
    ) -> Result<Option<StagedModel>> {
        let manifest = Manifest::of_record(reference.clone(), record, |_| Locator::Stored)?;
        let (parts, files) = (Arc::clone(&self.parts), record.files.clone());
        let staged = blocking(move || {
            let began = parts.clock.now();
            let mut staged = Vec::new();
            for file in files {
                let blob = file.sha256.map(|sha256| parts.store.blob(&sha256)).transpose()?.flatten();
                let Some(blob) = blob else { return Ok(None) };
                let found = stage_blob(file.path, blob, None, began)?;
                parts.ask(&Question::Format { path: found.path.as_str(), format: found.format })?;
                staged.push(found);
            }
            Ok(Some(staged))
        })
        .await?;
        Ok(staged.map(|staged| StagedModel::new(manifest, staged)).transpose()?)
    }

    async fn transfer(
        &self,
        reference: &ModelRef,
        file: &ManifestFile,
        lock: MaybeSession,
        left: Arc<ResumableTransfers>,
    ) -> Result<StagedFile> {
        let id = reference.id();
        let identity = identity(reference, file);
        let (parts, held, model) = (Arc::clone(&self.parts), lock.clone(), id.clone());
        let (path, size) = (file.path.clone(), file.size);
        let slot = blocking(move || {
            let wish =
                SlotRequest { identity, path: &path, size, promised: size, model: &model, left: &left };
            place(&parts.store, held.as_deref(), &wish)
        })
        .await?;
        let (data, journal) = (slot.data.clone(), slot.journal.clone());
        let place = Place { data: data.clone(), journal, guard: Arc::new(lock.clone()) };
        let source = self.parts.registry.find(reference)?;
        if let Some(held) = lock.as_ref().filter(|_| size > 0) {
            held.note_fetched();
        }
        let fetched = self.parts.transfer.fetch(source, &id, file, place, self.parts.progress.as_ref()).await;
        if let Err(transfer::Error::Mismatch { .. } | transfer::Error::Changed { .. }) = &fetched {
            // What is wrong is not kept for another time.
            if let Some(held) = lock {
                blocking(move || Ok(held.give_up(&slot)?)).await?;
            }
        }
        let fetched = fetched?;
        let path = file.path.clone();
        // Nobody but us writes there, and the store sets its time back when it takes it in.
        blocking(move || {
            let staged = look(path, data, fetched, |_| true)?;
            // The digest is of just so many bytes; others behind them would be handed out unread.
            if staged.stamp.size != size {
                return Err(crate::Error::ChangedWhileRead { path: staged.location });
            }
            Ok(staged)
        })
        .await
    }

    /// Makes a verified model's staged files a sealed view, and returns its record.
    pub(crate) async fn place(&self, verified: VerifiedModel, lock: MaybeSession) -> Result<CatalogRecord> {
        let parts = Arc::clone(&self.parts);
        let given_up = CancelOnDrop::default();
        let is_given_up = given_up.watch();
        blocking(move || {
            let id = verified.staged().manifest().reference().id();
            let begin =
                || ReadProgress::start(&parts.progress, &id, &parts.store.externally_linked_sizes(&verified));
            let reading = OnceLock::new();
            let go_on = |bytes| {
                reading.get_or_init(begin).add(bytes);
                !is_given_up()
            };
            let record = parts.store.commit_while(&verified, parts.clock.now(), &go_on)?;
            drop(reading);
            let is_tidy = lock.map_or(Ok(()), |held| held.let_go());
            if let Err(error) = is_tidy.and_then(|()| parts.store.discard_resumable_of(&record.id)) {
                tracing::debug!("a partial is left: {error}");
            }
            Ok(record)
        })
        .await
    }
}

impl Parts {
    /// Tells how much of a model has to be fetched: of each file its size, and how much of that is not here.
    fn show_fetching(&self, reference: &ModelRef, sizes: &[(u64, u64)]) {
        if sizes.is_empty() {
            return;
        }
        let sum = |bytes: fn(&(u64, u64)) -> u64| sizes.iter().map(bytes).fold(0, u64::saturating_add);
        let (total_bytes, to_fetch) = (sum(|(size, _)| *size), sum(|(_, to_fetch)| *to_fetch));
        let present_bytes = total_bytes.saturating_sub(to_fetch);
        let (id, files) = (reference.id(), sizes.len());
        self.progress.on_event(&ProgressEvent::FetchPlanned { id, files, total_bytes, present_bytes });
    }

    fn show_waiting(&self, id: &str, waiting: &Waiting) {
        let owner = waiting.owner.as_ref();
        self.progress.on_event(&ProgressEvent::Waiting {
            id: id.to_owned(),
            pid: owner.map(|owner| owner.pid),
            program: owner.map(|owner| owner.program.clone()),
            host: owner.map(|owner| owner.host.clone()),
            since: waiting.since,
            done_bytes: waiting.done_bytes,
            size_bytes: waiting.size_bytes,
        });
    }
}

/// How many bytes of a file are on the disk already; `None` where no transfer of it left anything.
pub(crate) fn left_of(reference: &ModelRef, file: &ManifestFile, left: &ResumableTransfers) -> Option<u64> {
    left.bytes_of(&reference.id(), &identity(reference, file), &file.path)
}

/// How many bytes of a file are still to be fetched.
pub(crate) fn to_fetch(reference: &ModelRef, file: &ManifestFile, left: &ResumableTransfers) -> u64 {
    file.size.saturating_sub(left_of(reference, file, left).unwrap_or(0))
}

/// A blob that the store found by what is listed of a file.
async fn from_blob(file: &ManifestFile, blob: Blob, began: Timestamp) -> Result<StagedFile> {
    let is_git_id = |digest: &&Digest| digest.algorithm() == DigestAlgorithm::GitSha1;
    let (path, git_sha1) = (file.path.clone(), file.digest.as_ref().filter(is_git_id).cloned());
    blocking(move || stage_blob(path, blob, git_sha1, began)).await
}

fn stage_blob(
    path: RelativePath,
    blob: Blob,
    git_sha1: Option<Digest>,
    began: Timestamp,
) -> Result<StagedFile> {
    let is_externally_linked = blob.is_externally_linked();
    let fetched = Fetched { sha256: blob.sha256, git_sha1 };
    if !blob.path.exists() {
        return Err(artifact_store::Error::Vanished { path: blob.path }.into());
    }
    look(path, blob.path, fetched, |stamp| !is_externally_linked || stamp.is_settled(began))
}

fn look(
    path: RelativePath,
    location: std::path::PathBuf,
    fetched: Fetched,
    is_settled: impl Fn(&Stamp) -> bool,
) -> Result<StagedFile> {
    use std::io::Read;
    let failed = |error| crate::Error::storage("a fetched file cannot be read", error);
    let mut first = Vec::with_capacity(Format::MAGIC_LEN);
    let file = File::open(&location).map_err(failed)?;
    let stamp = Stamp::of(&file.metadata().map_err(failed)?);
    file.take(Format::MAGIC_LEN as u64).read_to_end(&mut first).map_err(failed)?;
    Ok(StagedFile {
        format: Format::of(path.file_name(), &first),
        path,
        location,
        settled: is_settled(&stamp),
        stamp,
        sha256: Some(fetched.sha256),
        git_sha1: fetched.git_sha1,
    })
}
