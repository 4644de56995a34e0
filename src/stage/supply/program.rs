//! Downloads files by the program of their fetcher, and takes them out of its scratch folder.
//!
//! The program writes what it likes into the folder. The store takes a listed file by its name, follows no link, and hashes what it
//! takes; all else in the folder goes with it.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use artifact_store::{AdoptedFile, AdoptionTarget, ResumableTransfers, TakenFile};
use futures_util::{StreamExt, TryStreamExt, stream};
use provisioner_core::{
    Digest, DigestAlgorithm, DownloadRequest, FetchError, FetchErrorKind, Manifest, ManifestFile,
    ProgressEvent, ProgressSink, RelativePath, StagedFile,
};

use super::local_caches::{FILES_AT_ONCE, staged};
use crate::{
    context::{CancelOnDrop, Context},
    error::Result,
    stage::{
        key::PartialKey,
        read_progress::ReadProgress,
        session::{SlotRequest, StagingSession},
    },
};

/// Downloads files of a manifest by the program of its fetcher, and returns each by its path. Returns none where the fetcher runs no
/// program.
pub(crate) async fn download(
    ctx: &Arc<Context>,
    manifest: &Manifest,
    files: Vec<ManifestFile>,
    session: &Arc<StagingSession>,
    left: &Arc<ResumableTransfers>,
) -> Result<HashMap<RelativePath, StagedFile>> {
    let source = ctx.registry.find(manifest.reference())?;
    if source.program().is_none() || files.is_empty() {
        return Ok(HashMap::new());
    }
    session.note_fetched();
    let (id, holder) = (manifest.reference().id(), Arc::clone(session));
    let size_bytes = files.iter().map(|file| file.size).fold(0, u64::saturating_add);
    let model = id.clone();
    let folder = ctx
        .run_blocking(move |ctx| {
            let folder = holder.scratch(&ctx.store, &model)?;
            holder.promise_scratch(size_bytes)?;
            Ok(folder)
        })
        .await?;
    let shares = Shares::new(&ctx.progress, &id, &files);
    let progress = |bytes| shares.show(bytes);
    let request = DownloadRequest { manifest, files: &files, scratch: &folder, progress: &progress };
    source.download(&request).await?;
    shares.end();
    drop(shares);
    let sizes: Vec<_> = files.iter().map(|file| file.size).collect();
    let taking = Taking {
        id: id.clone(),
        keys: files.iter().map(|file| PartialKey::of(manifest.reference(), file)).collect(),
        files: files.clone(),
        folder: folder.files(),
        session: Arc::clone(session),
        left: Arc::clone(left),
        reading: ReadProgress::start(&ctx.progress, &id, &sizes),
        has_refused: Arc::default(),
    };
    let (holder, has_refused) = (Arc::clone(session), Arc::clone(&taking.has_refused));
    let taken = taking.take_all(ctx).await;
    if has_refused.load(Ordering::Relaxed) {
        // What stands in the way of a file would stand in the way of the next run too.
        ctx.run_blocking(move |_| Ok(holder.discard_scratch()?)).await?;
    }
    taken
}

/// Takes files out of a scratch folder.
struct Taking {
    id: String,
    files: Vec<ManifestFile>,
    keys: Vec<PartialKey>,
    folder: PathBuf,
    session: Arc<StagingSession>,
    left: Arc<ResumableTransfers>,
    reading: ReadProgress,
    /// Whether something else than a plain file lay in the place of one.
    has_refused: Arc<AtomicBool>,
}

impl Taking {
    async fn take_all(self, ctx: &Arc<Context>) -> Result<HashMap<RelativePath, StagedFile>> {
        let (taking, cancel) = (Arc::new(self), CancelOnDrop::default());
        let jobs = (0..taking.files.len()).map(|index| {
            let (taking, is_cancelled) = (Arc::clone(&taking), cancel.watch());
            ctx.run_blocking(move |ctx| {
                let mut watch = |bytes| {
                    taking.reading.add(bytes);
                    !is_cancelled()
                };
                taking.take(ctx, index, &mut watch)
            })
        });
        stream::iter(jobs).buffer_unordered(FILES_AT_ONCE).try_collect().await
    }

    fn take(
        &self,
        ctx: &Context,
        index: usize,
        watch: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(RelativePath, StagedFile)> {
        let (file, began) = (&self.files[index], ctx.clock.now());
        let target = AdoptionTarget { size_bytes: file.size, digest: file.digest.clone() };
        let request = SlotRequest {
            key: self.keys[index].clone(),
            path: &file.path,
            size: file.size,
            // The scratch folder has reserved the space.
            promised: 0,
            model: &self.id,
            left: &self.left,
        };
        let slot = self.session.slot(&ctx.store, &request)?;
        slot.clear()?;
        let taken = match ctx.store.take(&slot, &target, &self.folder, &file.path, watch)? {
            TakenFile::File(taken) => taken,
            TakenFile::Missing => return Err(wrong(file, "it is not there").into()),
            TakenFile::Refused(reason) => {
                self.has_refused.store(true, Ordering::Relaxed);
                return Err(wrong(file, &reason).into());
            }
        };
        if let Some((expected, actual)) = mismatch(file, &taken) {
            self.session.discard(&slot)?;
            return Err(transfer::Error::Mismatch { path: file.path.to_string(), expected, actual }.into());
        }
        Ok((file.path.clone(), staged(file, &taken, began)?))
    }
}

/// Returns the listed digest of a file and the digest of its bytes, where these differ.
fn mismatch(file: &ManifestFile, taken: &AdoptedFile) -> Option<(Digest, Digest)> {
    let expected = file.digest.as_ref()?;
    let actual = match expected.algorithm() {
        DigestAlgorithm::GitSha1 => taken.git_sha1.as_ref()?,
        _ => &taken.sha256,
    };
    (expected != actual).then(|| (expected.clone(), actual.clone()))
}

fn wrong(file: &ManifestFile, what: &str) -> FetchError {
    let message = format!("what the program downloaded as `{}` is not taken: {what}", file.path);
    FetchError::new(FetchErrorKind::Invalid, message)
}

/// Shares the bytes that a program has written out among the files, in the order of the listing: the program does not say which file
/// they belong to.
struct Shares<'a> {
    sink: &'a Arc<dyn ProgressSink>,
    id: &'a str,
    files: &'a [ManifestFile],
    /// The most bytes that the folder had so far: the count never goes back.
    most: AtomicU64,
    /// How many files have begun, and how many of these have ended.
    told: Mutex<(usize, usize)>,
}

impl<'a> Shares<'a> {
    fn new(sink: &'a Arc<dyn ProgressSink>, id: &'a str, files: &'a [ManifestFile]) -> Self {
        Self { sink, id, files, most: AtomicU64::new(0), told: Mutex::default() }
    }

    /// Tells the progress sink that the folder has so many bytes.
    fn show(&self, bytes: u64) {
        let most = self.most.fetch_max(bytes, Ordering::Relaxed).max(bytes);
        let (mut before, mut told) = (0_u64, self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for (index, file) in self.files.iter().enumerate() {
            let done_bytes = most.saturating_sub(before).min(file.size);
            before = before.saturating_add(file.size);
            let is_begun = done_bytes > 0 || before <= most;
            if index < told.1 || !is_begun {
                continue;
            }
            let (id, path, size_bytes) = (self.id.to_owned(), file.path.to_string(), file.size);
            if index >= told.0 {
                told.0 = index + 1;
                let (id, path) = (id.clone(), path.clone());
                self.sink.on_event(&ProgressEvent::FetchStarted { id, path, size_bytes });
            }
            let (of, at) = (id.clone(), path.clone());
            self.sink.on_event(&ProgressEvent::Fetched { id: of, path: at, done_bytes, size_bytes });
            if done_bytes == file.size {
                told.1 = index + 1;
                self.sink.on_event(&ProgressEvent::FetchEnded { id, path });
            }
        }
    }

    /// Tells the progress sink that all files are here.
    fn end(&self) {
        self.show(u64::MAX);
    }
}

/// Ends the files that have begun, where the download failed.
impl Drop for Shares<'_> {
    fn drop(&mut self) {
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for file in self.files.get(told.1..told.0).unwrap_or_default() {
            let (id, path) = (self.id.to_owned(), file.path.to_string());
            self.sink.on_event(&ProgressEvent::FetchEnded { id, path });
        }
    }
}
