//! Takes in files that other tools have on this machine, before a transfer begins.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use artifact_store::{AdoptedFile, AdoptionTarget, BegunAdoption, PartialFile, ResumableTransfers};
use futures_util::{StreamExt, TryStreamExt, stream};
use local_caches::{Candidate, LocalFiles};
use provisioner_core::{Digest, ManifestFile, ModelRef, StagedFile, Timestamp};

use crate::{
    context::{CancelOnDrop, Context},
    error::{Error, Result},
    stage::{
        format::format_of,
        key::PartialKey,
        read_progress::ReadProgress,
        session::{SlotRequest, StagingSession},
    },
};

/// How many files a call takes in, or transfers, at once. The transfers share the connections.
pub(crate) const FILES_AT_ONCE: usize = 8;

/// Lists the places on this machine where a file may lie.
#[derive(Debug)]
pub(crate) struct FileCandidates {
    file: ManifestFile,
    digest: Digest,
    candidates: Vec<Candidate>,
}

impl FileCandidates {
    /// Returns the places on this machine where a file may lie; `None` where there are none.
    pub(crate) fn of(file: &ManifestFile, local: &LocalFiles) -> Option<Self> {
        let digest = file.digest.clone()?;
        let candidates = local.candidates(&file.path, file.size, &digest);
        (!candidates.is_empty()).then(|| Self { file: file.clone(), digest, candidates })
    }

    /// Returns the path of the first of these places.
    pub(crate) fn from(&self) -> Option<PathBuf> {
        self.candidates.first().map(|candidate| candidate.path.clone())
    }

    /// Returns how much of the disk it takes to take the file in, in bytes: a link takes nothing.
    pub(crate) fn space_bytes(&self) -> u64 {
        if self.candidates.first().is_some_and(|candidate| candidate.is_linkable) {
            0
        } else {
            self.file.size
        }
    }
}

/// Takes in what other tools have of some files, and returns each file by its digest.
pub(crate) async fn adopt(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    candidates: Vec<FileCandidates>,
    session: &Arc<StagingSession>,
    left: &Arc<ResumableTransfers>,
) -> Result<HashMap<Digest, AdoptedFile>> {
    // A call takes the same bytes under two names in once.
    let files: BTreeMap<_, _> = candidates.into_iter().map(|file| (file.digest.clone(), file)).collect();
    if files.is_empty() {
        return Ok(HashMap::new());
    }
    let sizes: Vec<_> = files.values().map(|file| file.file.size).collect();
    let reading = Arc::new(ReadProgress::start(&ctx.progress, &reference.id(), &sizes));
    let cancel = CancelOnDrop::default();
    let begun = begin(ctx, reference, files.into_values().collect(), session, left).await?;
    let jobs = begun.into_iter().map(|(job, first)| {
        let (reading, is_cancelled) = (Arc::clone(&reading), cancel.watch());
        ctx.run_blocking(move |ctx| {
            let mut watch = |bytes| {
                reading.add(bytes);
                !is_cancelled()
            };
            let adopted = job.run(ctx, first, &mut watch)?;
            Ok(adopted.map(|adopted| (job.file.digest, adopted)))
        })
    });
    let found: Vec<_> = stream::iter(jobs).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
    let found: HashMap<_, _> = found.into_iter().flatten().collect();
    warn_of_copies(&reference.id(), found.values());
    Ok(found)
}

/// Begins to take in the first candidate of each file, so that their links settle together.
async fn begin(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    files: Vec<FileCandidates>,
    session: &Arc<StagingSession>,
    left: &Arc<ResumableTransfers>,
) -> Result<Vec<(Job, Option<Begun>)>> {
    let (reference, session, left) = (reference.clone(), Arc::clone(session), Arc::clone(left));
    ctx.run_blocking(move |ctx| {
        let jobs = files.into_iter().map(|file| {
            let job = Job {
                id: reference.id(),
                key: PartialKey::of(&reference, &file.file),
                file,
                session: Arc::clone(&session),
                left: Arc::clone(&left),
            };
            let first = job.file.candidates.first().map(|first| job.begin(ctx, first)).transpose()?;
            Ok((job, first))
        });
        jobs.collect()
    })
    .await
}

/// A candidate that a job has begun to take in, and the partial file for it.
struct Begun {
    slot: PartialFile,
    taking: artifact_store::Result<Option<BegunAdoption>>,
}

/// The search for the bytes of one file.
struct Job {
    id: String,
    key: PartialKey,
    file: FileCandidates,
    session: Arc<StagingSession>,
    left: Arc<ResumableTransfers>,
}

impl Job {
    /// Begins to take a candidate in.
    fn begin(&self, ctx: &Context, candidate: &Candidate) -> Result<Begun> {
        let wanted =
            AdoptionTarget { size_bytes: self.file.file.size, digest: Some(self.file.digest.clone()) };
        let request = SlotRequest {
            key: self.key.adopted(),
            path: &self.file.file.path,
            size: self.file.file.size,
            promised: if candidate.is_linkable { 0 } else { self.file.file.size },
            model: &self.id,
            left: &self.left,
        };
        let slot = self.session.slot(&ctx.store, &request)?;
        let taking = ctx.store.begin_adoption(&slot, &wanted, &candidate.path, ctx.adoption.mode);
        Ok(Begun { slot, taking })
    }

    /// Takes in the first candidate that has the bytes. `first` is the one that the job has begun already.
    fn run(
        &self,
        ctx: &Context,
        mut first: Option<Begun>,
        watch: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<AdoptedFile>> {
        for candidate in &self.file.candidates {
            let Begun { slot, taking } = match first.take() {
                Some(begun) => begun,
                None => self.begin(ctx, candidate)?,
            };
            let end = |taking: Option<BegunAdoption>| match taking {
                Some(taking) => ctx.store.finish_adoption(taking, watch),
                None => Ok(None),
            };
            let taken = taking.and_then(end);
            if let Ok(Some(adopted)) = taken {
                ctx.store.discard_resumable(&self.key.to_string(), &self.left)?;
                return Ok(Some(adopted));
            }
            self.session.discard(&slot)?;
            match taken {
                // The source can still send a file that cannot be read there.
                Err(artifact_store::Error::Io(error)) => {
                    tracing::debug!("`{}` is not adopted: {error}", candidate.path.display());
                }
                other => drop(other?),
            }
        }
        Ok(None)
    }
}

/// Returns the staged file of an adopted one. `began` is a time before any of its bytes was read. It opens the file for its format,
/// and may block.
pub(crate) fn staged(file: &ManifestFile, adopted: &AdoptedFile, began: Timestamp) -> Result<StagedFile> {
    let failed = |error| Error::storage("an adopted file cannot be read", error);
    let opened = fs_err::File::open(&adopted.location).map_err(failed)?;
    Ok(StagedFile {
        path: file.path.clone(),
        location: adopted.location.as_path().into(),
        stamp: adopted.stamp,
        // No other process writes to a copy.
        settled: !adopted.is_externally_linked || adopted.stamp.is_settled(began),
        format: format_of(&file.path, opened.file()).map_err(failed)?,
        sha256: Some(adopted.sha256.clone()),
        git_sha1: adopted.git_sha1.clone(),
    })
}

/// Warns the operator, who wants links, that some files were copied.
pub(crate) fn warn_of_copies<'a>(id: &str, adopted: impl Iterator<Item = &'a AdoptedFile>) {
    let mut copies = adopted.filter_map(|adopted| Some((adopted, adopted.not_linked.as_ref()?)));
    let Some((first, reason)) = copies.next() else { return };
    let from = first.from.display();
    match copies.count() {
        0 => tracing::warn!("`{id}`: `{from}` cannot be linked ({reason}), and is copied"),
        more => {
            tracing::warn!("`{id}`: `{from}` and {more} more cannot be linked ({reason}), and are copied");
        }
    }
}
