//! Bringing the files of a model that is elsewhere: from the store, where it has them already, or over a transfer.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use artifact_store::{Blob, LeftPartials, Partial, Turn, Waiting};
use fs_err::File;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use provisioner_core::{
    CatalogRecord, Digest, DigestAlgorithm, Format, Manifest, ManifestFile, ModelRef, ProgressEvent,
    StagedFile, StagedModel, Stamp, VerifiedModel,
};
use transfer::{Fetched, Place};

use crate::{
    ModelProvisioner, Result,
    bring::ModelLock,
    plan::identity,
    provisioner::{GivenUp, Parts, blocking},
};

/// The turn to bring a model, and the partials of its files, until they are blobs.
#[derive(Debug)]
pub(crate) struct Held {
    _turn: Turn,
    partials: Mutex<Vec<Partial>>,
}

impl Held {
    /// Keeps a partial until its model is committed.
    fn keep(&self, partial: Partial) {
        self.partials.lock().unwrap_or_else(PoisonError::into_inner).push(partial);
    }

    /// Gives a partial back.
    fn release(&self, folder: &Path) -> Option<Partial> {
        let mut partials = self.partials.lock().unwrap_or_else(PoisonError::into_inner);
        let index = partials.iter().position(|partial| partial.folder() == folder)?;
        Some(partials.swap_remove(index))
    }
}

/// How many files are brought at once. The connections are shared among them.
const FILES_AT_ONCE: usize = 8;

/// A wait that is shorter is not worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

impl ModelProvisioner {
    /// Waits for the turn to bring a model, and shows for whom.
    pub(crate) async fn lock(&self, id: &str) -> Result<Arc<Held>> {
        let (parts, id) = (Arc::clone(&self.parts), id.to_owned());
        let given_up = GivenUp::default();
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
            let turn = parts.store.turn(&id, parts.turn_wait, &mut watch)?;
            Ok(Arc::new(Held { _turn: turn, partials: Mutex::default() }))
        })
        .await
    }

    /// Brings all files of a manifest into the store's staging.
    pub(crate) async fn obtain(
        &self,
        reference: &ModelRef,
        manifest: Manifest,
        lock: ModelLock,
    ) -> Result<StagedModel> {
        let blobs = self.blobs(&manifest).await?;
        let missing = manifest.files().iter().zip(&blobs).filter(|(_, blob)| blob.is_none());
        let missing: Vec<_> = missing.map(|(file, _)| (identity(reference, file), file.size)).collect();
        let parts = Arc::clone(&self.parts);
        let left = blocking(move || {
            parts.store.sweep()?;
            let left = parts.store.left()?;
            let needed = missing.iter().fold(0u64, |sum, (identity, size)| {
                sum.saturating_add(size.saturating_sub(left.bytes_of(identity).unwrap_or(0)))
            });
            parts.store.check_space(needed)?;
            Ok(Arc::new(left))
        })
        .await?;
        let mut files: Vec<BoxFuture<'_, Result<StagedFile>>> = Vec::new();
        for (file, blob) in manifest.files().iter().zip(blobs) {
            files.push(match blob {
                Some(blob) => from_blob(file, blob).boxed(),
                None => self.transfer(reference, file, lock.clone(), Arc::clone(&left)).boxed(),
            });
        }
        let staged: Vec<_> = stream::iter(files).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        for file in &staged {
            self.parts.policy.check_format(file.path.as_str(), file.format)?;
        }
        Ok(StagedModel::new(manifest, staged)?)
    }

    /// What the store has already, of each file.
    async fn blobs(&self, manifest: &Manifest) -> Result<Vec<Option<Blob>>> {
        let digests: Vec<_> = manifest.files().iter().map(|file| file.digest.clone()).collect();
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let find = |digest: Option<Digest>| match digest {
                Some(digest) if digest.algorithm() == DigestAlgorithm::Sha256 => {
                    Ok(parts.store.blob(&digest)?)
                }
                _ => Ok(None),
            };
            digests.into_iter().map(find).collect()
        })
        .await
    }

    async fn transfer(
        &self,
        reference: &ModelRef,
        file: &ManifestFile,
        lock: ModelLock,
        left: Arc<LeftPartials>,
    ) -> Result<StagedFile> {
        let id = reference.id();
        let identity = identity(reference, file);
        let (parts, size, model) = (Arc::clone(&self.parts), file.size, id.clone());
        let partial = blocking(move || Ok(parts.store.partial(&identity, size, &model, &left)?)).await?;
        let (folder, data, journal) = (partial.folder().to_owned(), partial.data(), partial.journal());
        if let Some(held) = &lock {
            held.keep(partial);
        }
        let place = Place { data: data.clone(), journal, guard: Arc::new(lock.clone()) };
        let source = self.parts.registry.find(reference)?;
        let fetched = self.parts.transfer.fetch(source, &id, file, place, self.parts.progress.as_ref()).await;
        if let Err(transfer::Error::Mismatch { .. } | transfer::Error::Changed { .. }) = &fetched {
            // What is wrong is not kept for another time.
            if let Some(wrong) = lock.and_then(|held| held.release(&folder)) {
                blocking(move || Ok(wrong.discard()?)).await?;
            }
        }
        let fetched = fetched?;
        let path = file.path.clone();
        blocking(move || look(path, data, fetched)).await
    }

    /// Makes a verified model's staged files a sealed view, and returns its record.
    pub(crate) async fn place(&self, verified: VerifiedModel, lock: ModelLock) -> Result<CatalogRecord> {
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let record = parts.store.commit(&verified, parts.clock.now());
            drop(lock);
            Ok(record?)
        })
        .await
    }
}

impl Parts {
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

async fn from_blob(file: &ManifestFile, blob: Blob) -> Result<StagedFile> {
    let path = file.path.clone();
    blocking(move || look(path, blob.path, Fetched { sha256: blob.sha256, git_sha1: None })).await
}

fn look(
    path: provisioner_core::RelativePath,
    location: std::path::PathBuf,
    fetched: Fetched,
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
        stamp,
        // Nobody but us writes there, and the store sets its time back when it takes it in.
        settled: true,
        sha256: Some(fetched.sha256),
        git_sha1: fetched.git_sha1,
    })
}
