//! Taking in what other tools have of a model's files already, before anything is fetched.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use artifact_store::{AdoptedFile, AdoptionTarget, BegunAdoption, PartialFile, ResumableTransfers};
use futures_util::{StreamExt, TryStreamExt, stream};
use local_caches::{Candidate, LocalFiles};
use provisioner_core::{Digest, Format, ManifestFile, ModelRef, RelativePath, StagedFile, Timestamp};
use serde::Serialize;

use crate::{
    ModelProvisioner, Result,
    bring::MaybeSession,
    held::{SlotRequest, place},
    measure::ReadProgress,
    obtain::FILES_AT_ONCE,
    plan::identity,
    provisioner::{CancelOnDrop, Parts, blocking},
};

/// A file that was adopted, for the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Adoptee {
    path: RelativePath,
    from: PathBuf,
    way: &'static str,
}

/// A file that may lie elsewhere on this machine.
#[derive(Debug)]
pub(crate) struct FileCandidates {
    file: ManifestFile,
    digest: Digest,
    candidates: Vec<Candidate>,
}

impl FileCandidates {
    /// What is known of a file elsewhere on this machine; `None` where nothing is.
    pub(crate) fn of(file: &ManifestFile, local: &LocalFiles) -> Option<Self> {
        let digest = file.digest.clone()?;
        let candidates = local.candidates(&file.path, file.size, &digest);
        (!candidates.is_empty()).then(|| Self { file: file.clone(), digest, candidates })
    }

    /// Where it would be taken from.
    pub(crate) fn from(&self) -> Option<PathBuf> {
        self.candidates.first().map(|candidate| candidate.path.clone())
    }

    /// What that takes of the disk, in bytes: a link takes nothing.
    pub(crate) fn space_bytes(&self) -> u64 {
        if self.candidates.first().is_some_and(|candidate| candidate.is_linkable) {
            0
        } else {
            self.file.size
        }
    }
}

impl ModelProvisioner {
    /// Takes in what there is of some files, and returns it by its digest.
    pub(crate) async fn adopt(
        &self,
        reference: &ModelRef,
        leads: Vec<FileCandidates>,
        lock: &MaybeSession,
        left: &Arc<ResumableTransfers>,
    ) -> Result<HashMap<Digest, AdoptedFile>> {
        // The same bytes under two names are taken in once.
        let leads: BTreeMap<_, _> = leads.into_iter().map(|lead| (lead.digest.clone(), lead)).collect();
        if leads.is_empty() {
            return Ok(HashMap::new());
        }
        let sizes: Vec<_> = leads.values().map(|lead| lead.file.size).collect();
        let reading = Arc::new(ReadProgress::start(&self.parts.progress, &reference.id(), &sizes));
        let given_up = CancelOnDrop::default();
        let begun = self.begin(reference, leads.into_values().collect(), lock, left).await?;
        let jobs = begun.into_iter().map(|(job, first)| {
            let (parts, reading, is_given_up) =
                (Arc::clone(&self.parts), Arc::clone(&reading), given_up.watch());
            blocking(move || {
                let mut watch = |bytes| {
                    reading.add(bytes);
                    !is_given_up()
                };
                let adopted = job.run(&parts, first, &mut watch)?;
                Ok(adopted.map(|adopted| (job.lead.digest, adopted)))
            })
        });
        let found: Vec<_> = stream::iter(jobs).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        let found: HashMap<_, _> = found.into_iter().flatten().collect();
        tell_of_copies(&reference.id(), found.values());
        Ok(found)
    }
}

impl ModelProvisioner {
    /// Begins to take in the first candidate of each file, so that their links settle together.
    async fn begin(
        &self,
        reference: &ModelRef,
        leads: Vec<FileCandidates>,
        lock: &MaybeSession,
        left: &Arc<ResumableTransfers>,
    ) -> Result<Vec<(Job, Option<Begun>)>> {
        let (parts, reference) = (Arc::clone(&self.parts), reference.clone());
        let (lock, left) = (lock.clone(), Arc::clone(left));
        blocking(move || {
            let jobs = leads.into_iter().map(|lead| {
                let job = Job {
                    id: reference.id(),
                    identity: identity(&reference, &lead.file),
                    lead,
                    lock: lock.clone(),
                    left: Arc::clone(&left),
                };
                let first = job.lead.candidates.first().map(|first| job.begin(&parts, first)).transpose()?;
                Ok((job, first))
            });
            jobs.collect()
        })
        .await
    }
}

/// A candidate whose taking in was begun, and its place.
struct Begun {
    slot: PartialFile,
    taking: artifact_store::Result<Option<BegunAdoption>>,
}

/// The search for one file's bytes.
struct Job {
    id: String,
    identity: String,
    lead: FileCandidates,
    lock: MaybeSession,
    left: Arc<ResumableTransfers>,
}

impl Job {
    /// Begins to take a candidate in.
    fn begin(&self, parts: &Parts, candidate: &Candidate) -> Result<Begun> {
        let wanted =
            AdoptionTarget { size_bytes: self.lead.file.size, digest: Some(self.lead.digest.clone()) };
        let wish = SlotRequest {
            // Not the partial that a transfer of the same bytes would go on from.
            identity: format!("adopt {}", self.identity),
            path: &self.lead.file.path,
            size: self.lead.file.size,
            promised: if candidate.is_linkable { 0 } else { self.lead.file.size },
            model: &self.id,
            left: &self.left,
        };
        let slot = place(&parts.store, self.lock.as_deref(), &wish)?;
        let taking = parts.store.begin_adoption(&slot, &wanted, &candidate.path, parts.adoption.mode);
        Ok(Begun { slot, taking })
    }

    /// Takes in the first candidate that has the bytes. `first` is what was begun already.
    fn run(
        &self,
        parts: &Parts,
        mut first: Option<Begun>,
        watch: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<AdoptedFile>> {
        for candidate in &self.lead.candidates {
            let Begun { slot, taking } = match first.take() {
                Some(begun) => begun,
                None => self.begin(parts, candidate)?,
            };
            let end = |taking: Option<BegunAdoption>| match taking {
                Some(taking) => parts.store.finish_adoption(taking, watch),
                None => Ok(None),
            };
            let taken = taking.and_then(end);
            if let Ok(Some(adopted)) = taken {
                parts.store.discard_resumable(&self.identity, &self.left)?;
                return Ok(Some(adopted));
            }
            if let Some(held) = &self.lock {
                held.give_up(&slot)?;
            }
            match taken {
                // What cannot be read there can still be fetched.
                Err(artifact_store::Error::Io(error)) => {
                    tracing::debug!("`{}` is not adopted: {error}", candidate.path.display());
                }
                other => drop(other?),
            }
        }
        Ok(None)
    }
}

/// A file of a model, as it was taken in. `began` is a moment before its bytes were read.
pub(crate) fn staged(file: &ManifestFile, adopted: &AdoptedFile, began: Timestamp) -> StagedFile {
    StagedFile {
        path: file.path.clone(),
        location: adopted.location.clone(),
        stamp: adopted.stamp,
        // To a copy nobody writes but us.
        settled: !adopted.is_externally_linked || adopted.stamp.is_settled(began),
        format: Format::of(file.path.file_name(), &adopted.first),
        sha256: Some(adopted.sha256.clone()),
        git_sha1: adopted.git_sha1.clone(),
    }
}

impl Adoptee {
    pub(crate) fn new(file: &ManifestFile, adopted: &AdoptedFile) -> Self {
        let way = if adopted.is_externally_linked { "link" } else { "copy" };
        Self { path: file.path.clone(), from: adopted.from.clone(), way }
    }
}

/// Says that there are copies where links were wanted.
pub(crate) fn tell_of_copies<'a>(id: &str, adopted: impl Iterator<Item = &'a AdoptedFile>) {
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
