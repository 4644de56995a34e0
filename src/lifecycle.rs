//! What may be done with a model that is recorded: looking, verifying, retiring, activating, removing.

use std::sync::Arc;

use artifact_store::Exclusion;
use provisioner_core::{
    CatalogErrorKind, CatalogRecord, DamagedRecord, Entry, ErrorCode, Expectation, Lifecycle, Locator,
    Manifest, ManifestFile, ModelRef, Outcome, Timestamp, Verification, Versioned,
};

use crate::{
    Error, ModelProvisioner, Result,
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
}

impl ModelProvisioner {
    /// Everything in the catalog.
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
            Ok(Inventory { models: models.collect(), damaged: listing.damaged })
        })
        .await
    }

    /// What the catalog keeps of a model.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`], and what is wrong with the catalog.
    pub async fn show(&self, reference: &ModelRef) -> Result<InventoryEntry> {
        let id = self.canonical(reference).await?.id();
        let record = self.record(&id).await?.record;
        let parts = Arc::clone(&self.parts);
        blocking(move || Ok(InventoryEntry { last_used_at: parts.store.last_used(&id), record })).await
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
            let (record, code) = self.verify_against(&reference, &previous.record).await?;
            match self.put(record, Some(&previous), Action::Verify).await {
                // What was judged against is no longer what is recorded.
                Err(Error::Catalog(error)) if error.kind == CatalogErrorKind::Conflict => {}
                put => {
                    let Verification { outcome, reason, .. } = put?.verification;
                    return Ok(VerifyReport { id, outcome, reason, code });
                }
            }
        }
        Err(Error::Contended { id })
    }

    /// What a record becomes when all bytes are read, and the code of a failure.
    async fn verify_against(
        &self,
        reference: &ModelRef,
        previous: &CatalogRecord,
    ) -> Result<(CatalogRecord, Option<ErrorCode>)> {
        // What was fetched is verified where it lies; no source is asked.
        let manifest = match reference {
            ModelRef::Local(_) => self.resolve(reference, None).await?,
            fetched => recorded_manifest(fetched, previous)?,
        };
        let expectation = Expectation::none().or(previous.evidence());
        let staged = self.stage(manifest, &expectation, true, None).await?;
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
                let (parts, root) = (Arc::clone(&self.parts), record.root().to_owned());
                blocking(move || Ok(parts.store.condemn(&root)?)).await?;
                Ok((record, Some(rejection.code())))
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
    /// user's, and stay.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`]; `busy` when live processes have a lease on it; and what is wrong with the catalog.
    pub async fn remove(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        let id = self.canonical(reference).await?.id();
        self.check_provenance().await?;
        for _ in 0..MAX_CONFLICTS {
            let Versioned { record, version } = self.record(&id).await?;
            let _alone = self.exclude(&record).await?;
            match self.parts.catalog.remove(&id, version).await {
                Err(error) if error.kind == CatalogErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.free(&record).await?;
                    let parts = Arc::clone(&self.parts);
                    return blocking(move || {
                        parts.store.forget_used(&record.id);
                        parts.record_line(Action::Remove, &record);
                        Ok(record)
                    })
                    .await;
                }
            }
        }
        Err(Error::Contended { id })
    }

    async fn record(&self, id: &str) -> Result<Versioned> {
        self.parts.catalog.get(id).await?.ok_or_else(|| Error::NotInCatalog { id: id.to_owned() })
    }

    /// Makes sure that nobody uses a model that somebody wants to remove. Where locks are not to be trusted, whoever says so
    /// must know.
    async fn exclude(&self, record: &CatalogRecord) -> Result<Option<Exclusion>> {
        let (parts, root, id) = (Arc::clone(&self.parts), record.root().to_owned(), record.id.clone());
        blocking(move || match parts.store.exclude(&root, &id) {
            Err(error @ artifact_store::Error::Doubtful { .. }) => {
                tracing::warn!("nobody can tell whether `{id}` is in use: {error}");
                Ok(None)
            }
            alone => Ok(Some(alone?)),
        })
        .await
    }

    /// Frees the files of a fetched model that was removed, unless another record has the same view.
    async fn free(&self, removed: &CatalogRecord) -> Result<()> {
        let root = removed.root().to_owned();
        let is_needed = !self.parts.store.holds(&root)
            || self.parts.catalog.list().await?.records.iter().any(|found| found.record.root() == root);
        if is_needed {
            return Ok(());
        }
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            let freed = parts.store.remove_view(&root)?;
            tracing::debug!("{freed} bytes are freed");
            Ok(())
        })
        .await
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

/// The files of a fetched model, as they lie in the store.
pub(crate) fn recorded_manifest(reference: &ModelRef, record: &CatalogRecord) -> Result<Manifest> {
    let files = record.files.iter().map(|file| ManifestFile {
        path: file.path.clone(),
        size: file.stamp.size,
        digest: None,
        locator: Locator::InPlace(record.location(&file.path)),
    });
    let entry = record.entry.clone().map_or(Entry::Folder, Entry::File);
    let manifest =
        Manifest::new(reference.clone(), files.collect(), entry)?.with_projector(record.projector.clone());
    Ok(match &record.revision {
        Some(revision) => manifest.at_revision(revision),
        None => manifest,
    })
}
