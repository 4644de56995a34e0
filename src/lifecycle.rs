//! What may be done with a model that is recorded: looking, verifying, retiring, activating, removing.

use std::sync::Arc;

use artifact_store::LeftoverEntry;
use futures_util::{FutureExt, StreamExt, stream};
use provisioner_core::{
    CatalogErrorKind, CatalogRecord, DamagedRecord, EnsureEffect, ErrorCode, Expectation, Hint, Lifecycle,
    Locator, Manifest, ModelRef, Outcome, ProgressEvent, RecordedFile, Rejection, Timestamp, Verification,
    Versioned,
};

use crate::{
    Error, ModelProvisioner, Result,
    bring::is_unwritable,
    evict::STORE_LOCK_WAIT,
    presence::{Freshness, freshness},
    provenance::Action,
    provisioner::{MAX_CONFLICTS, blocking},
};

/// Everything in the catalog.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inventory {
    /// The models, in the order of their ids.
    pub models: Vec<InventoryEntry>,
    /// The records that cannot be read.
    pub damaged: Vec<DamagedRecord>,
    /// What the store has besides: unfinished transfers, and what was found to be wrong.
    pub leftovers: Vec<LeftoverEntry>,
}

/// What was removed of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Removed {
    /// The record, where there was one.
    pub record: Option<CatalogRecord>,
    /// The unfinished transfers that went.
    pub transfers: Vec<LeftoverEntry>,
}

/// One model of an inventory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InventoryEntry {
    /// What the catalog keeps.
    pub record: CatalogRecord,
    /// When the model was last asked for.
    pub last_used_at: Option<Timestamp>,
}

/// What verifying a model found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The model.
    pub id: String,
    /// How it went.
    pub outcome: Outcome,
    /// Why, for a person.
    pub reason: String,
    /// The code of a failure.
    pub code: Option<ErrorCode>,
    /// What to do about a failure.
    pub hint: Option<Hint>,
}

impl ModelProvisioner {
    /// Everything in the catalog, as it is recorded: no model is looked at.
    ///
    /// # Errors
    /// What is wrong with the catalog as a whole; a record that cannot be read is part of the answer.
    pub async fn list(&self) -> Result<Inventory> {
        let listing = self.parts.catalog.list().await?;
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let models = listing.records.into_iter().map(|Versioned { record, .. }| {
                let last_used_at = parts.store.last_used(&record.id);
                InventoryEntry { record, last_used_at }
            });
            let leftovers = parts.store.leftovers().unwrap_or_else(|error| {
                tracing::debug!("unfinished transfers cannot be listed: {error}");
                Vec::new()
            });
            Ok(Inventory { models: models.collect(), damaged: listing.damaged, leftovers })
        })
        .await
    }

    /// What the catalog keeps of a model. Whether that is still so, [`change`](Self::change) tells.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], and what is wrong with the catalog.
    pub async fn show(&self, reference: &ModelRef) -> Result<InventoryEntry> {
        let id = self.canonical(reference).await?.id();
        let record = self.record(&id).await?.record;
        let parts = Arc::clone(&self.parts);
        blocking(move || Ok(InventoryEntry { last_used_at: parts.store.last_used(&id), record })).await
    }

    /// What is different about the files of a record since they were judged, for a person; `None` where nothing is. Looks at
    /// their stamps, opens none of them, and records nothing: what the record says is of the bytes that there were.
    ///
    /// # Errors
    /// [`Error::CutOff`].
    pub async fn change(&self, record: &CatalogRecord) -> Result<Option<String>> {
        let (parts, record) = (Arc::clone(&self.parts), record.clone());
        blocking(move || {
            Ok(match freshness(&record, &parts.store) {
                Freshness::Changed(change) => Some(change),
                Freshness::Unchanged if parts.is_whole(&record) => None,
                Freshness::Unchanged => Some("its removal was begun".to_owned()),
            })
        })
        .await
    }

    /// Reads all bytes of a recorded model, compares them with the digest that it has, and records what was found. A
    /// model without a digest gets the one that was computed, on the basis of first use.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], and what keeps the bytes from being read. Wrong bytes are no error of this call, but
    /// a report with [`Outcome::Fail`].
    pub async fn verify(&self, reference: &ModelRef) -> Result<VerifyReport> {
        let reference = self.canonical(reference).await?;
        let id = reference.id();
        for _ in 0..MAX_CONFLICTS {
            let previous = self.record(&id).await?;
            let (record, rejection) = match self.verify_against(&reference, &previous.record).await {
                // Another process linked the model, or took it away, while it was read.
                Err(error) if error.is_conflict() || !self.is_recorded_as(&previous).await? => continue,
                judged => judged?,
            };
            let kept = match &rejection {
                None => self.keep_verdict(record.clone(), &previous).await,
                Some(_) => self.invalidate(record.clone(), &previous).await,
            };
            let is_moved = match kept {
                // What was judged against is no longer what is recorded.
                Err(error) if error.is_conflict() => continue,
                kept => kept?,
            };
            let code = rejection.as_ref().map(Rejection::code);
            let hint = code.map(|_| self.what_helps(&record, is_moved));
            let Verification { outcome, reason, .. } = record.verification;
            return Ok(VerifyReport { id, outcome, reason, code, hint });
        }
        Err(Error::Contended { id })
    }

    /// Whether a record is still the current one of its id.
    pub(crate) async fn is_recorded_as(&self, previous: &Versioned) -> Result<bool> {
        let found = self.parts.catalog.get(&previous.record.id).await?;
        Ok(found.is_some_and(|found| found.version == previous.version))
    }

    /// Records what was found. It is told, though it cannot be kept. Returns that no file has moved.
    async fn keep_verdict(&self, record: CatalogRecord, previous: &Versioned) -> Result<bool> {
        match self.put(record, Some(previous), Action::Verify).await {
            Err(error) if !is_unwritable(&error) => Err(error),
            _ => Ok(false),
        }
    }

    /// Records that a model failed, and takes its view out of use unless a live process uses it. Returns whether it did.
    async fn invalidate(&self, record: CatalogRecord, previous: &Versioned) -> Result<bool> {
        let parts = Arc::clone(&self.parts);
        let is_stored = parts.store.holds(record.root());
        // Under the store lock nobody puts the view right or takes it away. Without it, the record alone keeps it from being used.
        let store_lock = if is_stored {
            blocking(move || Ok(parts.store.lock_exclusive(STORE_LOCK_WAIT).ok())).await?
        } else {
            None
        };
        self.keep_verdict(record.clone(), previous).await?;
        let Some(store_lock) = store_lock else { return Ok(false) };
        let parts = Arc::clone(&self.parts);
        blocking(move || Ok(parts.store.invalidate(&store_lock, &record)?)).await
    }

    /// Verifies several models, as [`verify`](Self::verify) does, as many at once as there are cores. The answers are in the
    /// order of the references.
    pub async fn verify_several(&self, references: &[ModelRef]) -> Vec<Result<VerifyReport>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let models = references.len();
        if models > 1 {
            let mut total_bytes = 0u64;
            for reference in references {
                let found = self.parts.catalog.get(&reference.id()).await;
                let size = found.ok().flatten().map_or(0, |found| found.record.size_bytes);
                total_bytes = total_bytes.saturating_add(size);
            }
            self.parts.progress.on_event(&ProgressEvent::VerifyStarted { models, total_bytes });
        }
        let work = references.iter().map(|reference| self.verify(reference).boxed());
        let done = stream::iter(work.collect::<Vec<_>>()).buffered(cores).collect().await;
        if models > 1 {
            self.parts.progress.on_event(&ProgressEvent::VerifyEnded { models });
        }
        done
    }

    /// What to do about wrong bytes.
    fn what_helps(&self, record: &CatalogRecord, is_moved: bool) -> Hint {
        let id = record.id.clone();
        if is_moved {
            Hint::Ensure { id, effect: EnsureEffect::FetchesAgain }
        } else if self.parts.store.holds(record.root()) {
            Hint::Ensure { id, effect: EnsureEffect::PutsRight }
        } else {
            Hint::ReplaceFiles { id }
        }
    }

    /// What a record becomes when all bytes are read, and why they failed.
    async fn verify_against(
        &self,
        reference: &ModelRef,
        previous: &CatalogRecord,
    ) -> Result<(CatalogRecord, Option<Rejection>)> {
        // What was fetched is verified where it lies; no source is asked.
        let manifest = match reference {
            ModelRef::Local(_) => {
                let resolved = self.resolve(reference, None).await;
                resolved.map_err(|error| error.where_absent(self.what_helps(previous, false)))?
            }
            fetched => recorded_manifest(fetched, previous)?,
        };
        let expectation = Expectation::none().or(previous.evidence());
        let absent = Hint::Ensure { id: previous.id.clone(), effect: EnsureEffect::BringsBack };
        let staged = self.stage(manifest, &expectation, true, None).await;
        let staged = staged.map_err(|error| error.where_absent(absent))?;
        match self.judge(staged, expectation).await {
            Ok(verified) => {
                let now = verified.verification().verified_at;
                let mut record = self.record_of(&verified).await?.succeeding(previous);
                record.verification.verified_at = now;
                record.lifecycle = previous.lifecycle;
                Ok((record, None))
            }
            Err(Error::Core(provisioner_core::Error::Rejected { rejection, .. })) => {
                let mut record = previous.clone();
                record.fail(rejection.to_string(), self.parts.clock.now());
                Ok((record, Some(rejection)))
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a model, and refuses it until it is activated.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], and what is wrong with the catalog.
    pub async fn retire(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        self.move_to(reference, Lifecycle::Retired, Action::Retire).await
    }

    /// Makes a retired model usable again.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], and what is wrong with the catalog.
    pub async fn activate(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        self.move_to(reference, Lifecycle::Active, Action::Activate).await
    }

    /// Removes a model's record, and frees what nothing else uses of its fetched files. The files of a local model are the
    /// user's, and stay. Its unfinished transfers go too.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], what is wrong with the catalog, and `busy` where a live process has a lease on the model.
    pub async fn remove(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        let id = self.canonical(reference).await?.id();
        self.record(&id).await?;
        self.purge(reference).await?.record.ok_or(Error::NotInCatalog { id })
    }

    /// Removes all that is kept of a model: as [`remove`](Self::remove), and the unfinished transfers of a model that has no
    /// record too.
    ///
    /// # Errors
    /// As [`remove`](Self::remove); [`Error::NotInCatalog`] where there is neither a record nor a transfer.
    pub async fn purge(&self, reference: &ModelRef) -> Result<Removed> {
        let id = self.canonical(reference).await?.id();
        self.check_provenance().await?;
        let record = self.parts.catalog.get(&id).await?.map(|found| found.record);
        if let Some(record) = &record {
            self.take_away(record).await?;
        }
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            if let Some(record) = &record {
                parts.record_line(Action::Remove, record);
            }
            let transfers = parts.store.discard_transfers(&id)?;
            if record.is_some() || !transfers.is_empty() {
                return Ok(Removed { record, transfers });
            }
            Err(parts.store.check_idle(&id).map_or_else(Error::from, |()| Error::NotInCatalog { id }))
        })
        .await
    }

    pub(crate) async fn record(&self, id: &str) -> Result<Versioned> {
        self.parts.catalog.get(id).await?.ok_or_else(|| Error::NotInCatalog { id: id.to_owned() })
    }

    async fn move_to(&self, reference: &ModelRef, to: Lifecycle, action: Action) -> Result<CatalogRecord> {
        let id = self.canonical(reference).await?.id();
        for _ in 0..MAX_CONFLICTS {
            let previous = self.record(&id).await?;
            let now = self.parts.clock.now();
            let record = CatalogRecord { lifecycle: to, updated_at: now, ..previous.record.clone() };
            match self.put(record, Some(&previous), action).await {
                Err(Error::Catalog(error)) if error.kind == CatalogErrorKind::Conflict => {}
                done => return done,
            }
        }
        Err(Error::Contended { id })
    }
}

/// The files of a fetched model, as they lie in its view.
pub(crate) fn recorded_manifest(reference: &ModelRef, record: &CatalogRecord) -> Result<Manifest> {
    let in_place = |file: &RecordedFile| Locator::InPlace(record.location(&file.path));
    Ok(Manifest::of_record(reference.clone(), record, in_place)?)
}
