//! Taking in what other tools have of a model's files already, before anything is fetched.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use artifact_store::{Adopted, Candidate, Foreign, LeftPartials, Wanted};
use futures_util::{StreamExt, TryStreamExt, stream};
use provisioner_core::{Digest, Format, ManifestFile, ModelRef, RelativePath, StagedFile, Timestamp};
use serde::Serialize;

use crate::{
    ModelProvisioner, Result,
    bring::ModelLock,
    held::{Wish, place},
    measure::Reading,
    obtain::FILES_AT_ONCE,
    plan::identity,
    provisioner::{GivenUp, Parts, blocking},
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
pub(crate) struct Lead {
    file: ManifestFile,
    digest: Digest,
    candidates: Vec<Candidate>,
}

impl Lead {
    /// What is known of a file elsewhere on this machine; `None` where nothing is.
    pub(crate) fn of(file: &ManifestFile, foreign: &Foreign) -> Option<Self> {
        let digest = file.digest.clone()?;
        let candidates = foreign.candidates(&file.path, file.size, &digest);
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
        leads: Vec<Lead>,
        lock: &ModelLock,
        left: &Arc<LeftPartials>,
    ) -> Result<HashMap<Digest, Adopted>> {
        // The same bytes under two names are taken in once.
        let leads: BTreeMap<_, _> = leads.into_iter().map(|lead| (lead.digest.clone(), lead)).collect();
        if leads.is_empty() {
            return Ok(HashMap::new());
        }
        let sizes: Vec<_> = leads.values().map(|lead| lead.file.size).collect();
        let reading = Arc::new(Reading::start(&self.parts.progress, &reference.id(), &sizes));
        let given_up = GivenUp::default();
        let jobs = leads.into_values().map(|lead| {
            let job = Job {
                id: reference.id(),
                identity: identity(reference, &lead.file),
                lead,
                lock: lock.clone(),
                left: Arc::clone(left),
            };
            let (parts, reading, is_given_up) =
                (Arc::clone(&self.parts), Arc::clone(&reading), given_up.watch());
            blocking(move || {
                let mut watch = |bytes| {
                    reading.add(bytes);
                    !is_given_up()
                };
                let adopted = job.run(&parts, &mut watch)?;
                Ok(adopted.map(|adopted| (job.lead.digest, adopted)))
            })
        });
        let found: Vec<_> = stream::iter(jobs).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        let found: HashMap<_, _> = found.into_iter().flatten().collect();
        tell_of_copies(&reference.id(), found.values());
        Ok(found)
    }
}

/// The search for one file's bytes.
struct Job {
    id: String,
    identity: String,
    lead: Lead,
    lock: ModelLock,
    left: Arc<LeftPartials>,
}

impl Job {
    fn run(&self, parts: &Parts, watch: &mut dyn FnMut(u64) -> bool) -> Result<Option<Adopted>> {
        let wanted = Wanted { size_bytes: self.lead.file.size, digest: Some(self.lead.digest.clone()) };
        let mut wish = Wish {
            // Not the partial that a transfer of the same bytes would go on from.
            identity: format!("adopt {}", self.identity),
            path: &self.lead.file.path,
            size: self.lead.file.size,
            promised: 0,
            model: &self.id,
            left: &self.left,
        };
        for candidate in &self.lead.candidates {
            wish.promised = if candidate.is_linkable { 0 } else { wish.size };
            let slot = place(&parts.store, self.lock.as_deref(), &wish)?;
            let taken = parts.store.take(&slot, &wanted, &candidate.path, parts.adoption.mode, watch);
            if let Ok(Some(adopted)) = taken {
                parts.store.forget_left(&self.identity, &self.left)?;
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
pub(crate) fn staged(file: &ManifestFile, adopted: &Adopted, began: Timestamp) -> StagedFile {
    StagedFile {
        path: file.path.clone(),
        location: adopted.location.clone(),
        stamp: adopted.stamp,
        // To a copy nobody writes but us.
        settled: !adopted.is_shared || adopted.stamp.is_settled(began),
        format: Format::of(file.path.file_name(), &adopted.first),
        sha256: Some(adopted.sha256.clone()),
        git_sha1: adopted.git_sha1.clone(),
    }
}

impl Adoptee {
    pub(crate) fn new(file: &ManifestFile, adopted: &Adopted) -> Self {
        let way = if adopted.is_shared { "link" } else { "copy" };
        Self { path: file.path.clone(), from: adopted.from.clone(), way }
    }
}

/// Says that there are copies where links were wanted.
pub(crate) fn tell_of_copies<'a>(id: &str, adopted: impl Iterator<Item = &'a Adopted>) {
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
