//! The public calls about recorded models, the cache and the provenance log. Each is one line.

use artifact_store::{EvictionLimits, EvictionPlan};
use provenance_log::Position as LinePosition;
use provisioner_core::{Account, CatalogRecord, ModelRef};

use super::ModelProvisioner;
use crate::{
    error::Result,
    space::evict,
    upkeep::{
        account,
        doctor::{self, finding::HealthFinding},
        list::{self, ListedModel, ModelList},
        overview::{self, Overview},
        provenance::{self, ProvenanceCheck, ProvenanceLines, ProvenanceReport},
        remove::{self, Removed},
        retire,
        verify::{self, VerifyReport},
    },
};

impl ModelProvisioner {
    /// Returns everything in the catalog, as the records say it. It looks at no model.
    ///
    /// # Errors
    /// The catalog fails as a whole. A record that the catalog cannot read is part of the answer.
    pub async fn list(&self) -> Result<ModelList> {
        list::list(&self.context).await
    }

    /// Returns what the catalog keeps of a model. [`change`](Self::change) says whether the files still agree with that.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails.
    pub async fn show(&self, reference: &ModelRef) -> Result<ListedModel> {
        list::show(&self.context, reference).await
    }

    /// Returns how the files of a record differ from those that a verifier judged, for a person; `None` where they do not
    /// differ. It compares their stamps, opens no file, and records nothing.
    ///
    /// # Errors
    /// [`Error::CutOff`](crate::Error::CutOff) when the runtime shuts down.
    pub async fn change(&self, record: &CatalogRecord) -> Result<Option<String>> {
        list::change(&self.context, record).await
    }

    /// Reads all bytes of a recorded model, compares them with the recorded digest, and records the outcome. A model
    /// without a digest gets the computed one, on the basis of first use.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the disk fails. Wrong bytes are not an error of this call:
    /// its report then has [`Outcome::Fail`](crate::Outcome::Fail).
    pub async fn verify(&self, reference: &ModelRef) -> Result<VerifyReport> {
        verify::verify(&self.context, reference).await
    }

    /// Verifies several models, as [`verify`](Self::verify) does, as many at once as this machine has cores. The answers
    /// have the order of the references.
    pub async fn verify_several(&self, references: &[ModelRef]) -> Vec<Result<VerifyReport>> {
        verify::verify_several(&self.context, references).await
    }

    /// Retires a model: its record and its files stay, and every call refuses it until the operator activates it. Returns
    /// the record.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails.
    pub async fn retire(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        retire::retire(&self.context, reference).await
    }

    /// Makes a retired model usable again, and returns its record.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails.
    pub async fn activate(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        retire::activate(&self.context, reference).await
    }

    /// Removes a model's record, its unfinished transfers, and those of its fetched files that no other record names. The
    /// files of a local model belong to the caller, and stay.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails; the code `in-use` where a live process has
    /// a lease on the model.
    pub async fn remove(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        remove::remove(&self.context, reference).await
    }

    /// Removes everything that the cache keeps of a model: what [`remove`](Self::remove) removes, and the unfinished
    /// transfers of a model without a record.
    ///
    /// # Errors
    /// As [`remove`](Self::remove). [`Error::NotInCatalog`](crate::Error::NotInCatalog) where the cache has neither a
    /// record nor a transfer.
    pub async fn purge(&self, reference: &ModelRef) -> Result<Removed> {
        remove::purge(&self.context, reference).await
    }

    /// Returns what [`evict`](Self::evict) would remove, and why. It removes nothing.
    ///
    /// # Errors
    /// [`StoreError::UntrustedLocks`](crate::StoreError::UntrustedLocks) where locks do not work, so that the store
    /// cannot tell which models engines use; the catalog or the disk fails.
    pub async fn plan_eviction(&self, limits: &EvictionLimits) -> Result<EvictionPlan> {
        evict::plan_eviction(&self.context, limits).await
    }

    /// Removes the models of a plan that no caller has used since, and returns what it removed.
    ///
    /// # Errors
    /// As [`plan_eviction`](Self::plan_eviction); the code `busy` where other processes put models into the store all the
    /// time.
    pub async fn evict(&self, plan: &EvictionPlan) -> Result<EvictionPlan> {
        evict::evict(&self.context, plan).await
    }

    /// Returns the state of the cache. It reads no model, and opens no socket.
    ///
    /// # Errors
    /// The catalog or the disk fails.
    pub async fn overview(&self) -> Result<Overview> {
        overview::overview(&self.context).await
    }

    /// Asks the source of a scheme as whom it knows the caller. `None` without credentials, and for a source without accounts.
    ///
    /// # Errors
    /// The policy denies the source; the source fails, or refuses the credentials.
    pub async fn account(&self, scheme: &str) -> Result<Option<Account>> {
        account::account(&self.context, scheme).await
    }

    /// Checks the provenance log, in bounded memory, and compares it with what the caller kept of it and with the handoffs that
    /// it names. It writes nothing. The report names a line that is wrong.
    ///
    /// # Errors
    /// The disk fails, or a handoff of the caller cannot be read.
    pub async fn provenance_verify(&self, check: &ProvenanceCheck) -> Result<ProvenanceReport> {
        provenance::verify(&self.context, check).await
    }

    /// Returns the lines of the provenance log about a model. It checks no chain, and writes nothing.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn provenance_lines(&self, reference: &ModelRef) -> Result<ProvenanceLines> {
        provenance::lines(&self.context, reference).await
    }

    /// Returns the last line of the provenance log, which a caller can keep elsewhere. It reads the end of one file.
    ///
    /// # Errors
    /// The disk fails, or a newer release wrote the log.
    pub async fn provenance_head(&self) -> Result<Option<LinePosition>> {
        provenance::head(&self.context).await
    }

    /// Looks for problems of the cache, and repairs them where `fix` says so.
    ///
    /// A repair sets a damaged record aside, so that a call can make its model present anew. It gives a record to a whole
    /// model without one. It restores lost links, seals and modes. It reads a model whose files have other stamps, and
    /// records it anew where the bytes are the same. It removes what dead processes left. It changes nothing of a live
    /// process, and no file that this program did not make.
    ///
    /// # Errors
    /// The catalog or the disk fails before the call has looked.
    pub async fn doctor(&self, fix: bool) -> Result<Vec<HealthFinding>> {
        doctor::doctor(&self.context, fix).await
    }
}
