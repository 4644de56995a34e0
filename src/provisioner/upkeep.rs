//! The public calls about recorded models, the cache and the provenance log. Each is one line.

use artifact_store::{EvictionLimits, EvictionPlan};
use futures_util::future::BoxFuture;
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
        pages::{self, ModelPages},
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
    pub fn list(&self) -> BoxFuture<'_, Result<ModelList>> {
        Box::pin(list::list(&self.context))
    }

    /// Lists what [`list`](Self::list) does, a page of models at a time: memory does not grow with what is recorded of them.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn pages(&self) -> BoxFuture<'_, Result<ModelPages>> {
        Box::pin(pages::pages(&self.context))
    }

    /// Returns what the catalog keeps of a model. [`change`](Self::change) says whether the files still agree with that.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails.
    pub fn show<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<ListedModel>> {
        Box::pin(list::show(&self.context, reference))
    }

    /// Returns how the files of a record differ from those that a verifier judged, for a person; `None` where they do not
    /// differ. It compares their stamps, opens no file, and records nothing.
    ///
    /// # Errors
    /// [`Error::CutOff`](crate::Error::CutOff) when the runtime shuts down.
    pub fn change<'a>(&'a self, record: &'a CatalogRecord) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(list::change(&self.context, record))
    }

    /// Reads all bytes of a recorded model, compares them with the recorded digest, and records the outcome. A model
    /// without a digest gets the computed one, on the basis of first use.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the disk fails. Wrong bytes are not an error of this call:
    /// its report then has [`Outcome::Fail`](crate::Outcome::Fail).
    pub fn verify<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<VerifyReport>> {
        Box::pin(verify::verify(&self.context, reference))
    }

    /// Verifies several models, as [`verify`](Self::verify) does, as many at once as this machine has cores. The answers
    /// have the order of the references.
    pub fn verify_several<'a>(
        &'a self,
        references: &'a [ModelRef],
    ) -> BoxFuture<'a, Vec<Result<VerifyReport>>> {
        Box::pin(verify::verify_several(&self.context, references))
    }

    /// Retires a model: its record and its files stay, and every call refuses it until the operator activates it. Returns
    /// the record.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails.
    pub fn retire<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<CatalogRecord>> {
        Box::pin(retire::retire(&self.context, reference))
    }

    /// Makes a retired model usable again, and returns its record.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails.
    pub fn activate<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<CatalogRecord>> {
        Box::pin(retire::activate(&self.context, reference))
    }

    /// Removes a model's record, its unfinished transfers, and those of its fetched files that no other record names. The
    /// files of a local model belong to the caller, and stay.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog fails; the code `in-use` where a live process has
    /// a lease on the model.
    pub fn remove<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<CatalogRecord>> {
        Box::pin(remove::remove(&self.context, reference))
    }

    /// Removes everything that the cache keeps of a model: what [`remove`](Self::remove) removes, and the unfinished
    /// transfers of a model without a record.
    ///
    /// # Errors
    /// As [`remove`](Self::remove). [`Error::NotInCatalog`](crate::Error::NotInCatalog) where the cache has neither a
    /// record nor a transfer.
    pub fn purge<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<Removed>> {
        Box::pin(remove::purge(&self.context, reference))
    }

    /// Returns what [`evict`](Self::evict) would remove, and why. It removes nothing.
    ///
    /// # Errors
    /// [`StoreError::UntrustedLocks`](crate::StoreError::UntrustedLocks) where locks do not work, so that the store
    /// cannot tell which models engines use; the catalog or the disk fails.
    pub fn plan_eviction<'a>(&'a self, limits: &'a EvictionLimits) -> BoxFuture<'a, Result<EvictionPlan>> {
        Box::pin(evict::plan_eviction(&self.context, limits))
    }

    /// Removes the models of a plan that no caller has used since, and returns what it removed.
    ///
    /// # Errors
    /// As [`plan_eviction`](Self::plan_eviction); the code `busy` where other processes put models into the store all the
    /// time.
    pub fn evict<'a>(&'a self, plan: &'a EvictionPlan) -> BoxFuture<'a, Result<EvictionPlan>> {
        Box::pin(evict::evict(&self.context, plan))
    }

    /// Returns the state of the cache. It reads no model, and opens no socket.
    ///
    /// # Errors
    /// The catalog or the disk fails.
    pub fn overview(&self) -> BoxFuture<'_, Result<Overview>> {
        Box::pin(overview::overview(&self.context))
    }

    /// Asks the source of a scheme as whom it knows the caller. `None` without credentials, and for a source without accounts.
    ///
    /// # Errors
    /// The policy denies the source; the source fails, or refuses the credentials.
    pub fn account<'a>(&'a self, scheme: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        Box::pin(account::account(&self.context, scheme))
    }

    /// Checks the provenance log, in bounded memory, and compares it with what the caller kept of it and with the handoffs that
    /// it names. It writes nothing. The report names a line that is wrong.
    ///
    /// # Errors
    /// The disk fails, or a handoff of the caller cannot be read.
    pub fn provenance_verify<'a>(
        &'a self,
        check: &'a ProvenanceCheck,
    ) -> BoxFuture<'a, Result<ProvenanceReport>> {
        Box::pin(provenance::verify(&self.context, check))
    }

    /// Returns the lines of the provenance log about a model. It checks no chain, and writes nothing.
    ///
    /// # Errors
    /// The disk fails.
    pub fn provenance_lines<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<ProvenanceLines>> {
        Box::pin(provenance::lines(&self.context, reference))
    }

    /// Returns the last line of the provenance log, which a caller can keep elsewhere. It reads the end of one file.
    ///
    /// # Errors
    /// The disk fails, or a newer release wrote the log.
    pub fn provenance_head(&self) -> BoxFuture<'_, Result<Option<LinePosition>>> {
        Box::pin(provenance::head(&self.context))
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
    pub fn doctor(&self, fix: bool) -> BoxFuture<'_, Result<Vec<HealthFinding>>> {
        Box::pin(doctor::doctor(&self.context, fix))
    }
}
