//! The calls of [`ModelProvisioner`](crate::ModelProvisioner), for callers without a runtime.
//!
//! Each call runs on a thread with a runtime of its own. So it works anywhere, inside a tokio runtime too, where it
//! blocks the calling thread. A task of a single-threaded runtime must not call it for a model that another task of that
//! runtime is ensuring with the same provisioner: each would wait for the other.

use std::path::{Path, PathBuf};

use artifact_store::{EvictionLimits, EvictionPlan, Lease, LeaseHolder};
use model_inspect::{Inspection, MemoryRequest};
use provenance_log::Position as LinePosition;
use provisioner_core::{Account, CatalogRecord, Digest, Expectation, LockedModel, ModelRef, ResolvedModel};

use crate::{
    attest::{AttestOptions, Attestation},
    config::ModelProvisionerConfig,
    error::Result,
    exchange::import::ImportRequest,
    own_runtime::run,
    preview::{choose::FittingModel, lock::LockState, plan::EnsurePlan, variants::Variant},
    provision::Provisioned,
    provisioner,
    upkeep::{
        doctor::finding::HealthFinding,
        list::{ListedModel, ModelList},
        overview::Overview,
        pages,
        provenance::{ProvenanceCheck, ProvenanceLines, ProvenanceReport},
        remove::Removed,
        verify::VerifyReport,
    },
};

/// Makes models present, and blocks until they are. [`builder`](crate::ModelProvisioner::builder) makes a
/// [`crate::ModelProvisioner`]; `into()` makes this type of it.
///
/// ```
/// use model_provisioner::blocking::ModelProvisioner;
///
/// let dir = tempfile::tempdir()?;
/// let model = dir.path().join("tiny.gguf");
/// std::fs::write(&model, testkit::TINY_GGUF)?;
/// let ready = ModelProvisioner::file_only(dir.path().join("cache"))?.ensure_present_str(model.to_str().unwrap(), None)?;
/// assert_eq!(ready.local_path, model);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelProvisioner {
    inner: provisioner::ModelProvisioner,
}

impl From<provisioner::ModelProvisioner> for ModelProvisioner {
    fn from(inner: provisioner::ModelProvisioner) -> Self {
        Self { inner }
    }
}

impl ModelProvisioner {
    /// Calls [`crate::ModelProvisioner::file_only`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call. The same holds for each call below.
    pub fn file_only(cache_dir: impl Into<PathBuf>) -> Result<Self> {
        provisioner::ModelProvisioner::file_only(cache_dir).map(Self::from)
    }

    /// Returns what [`crate::ModelProvisioner::cache_dir`] returns.
    pub fn cache_dir(&self) -> &Path {
        self.inner.cache_dir()
    }

    /// Calls [`crate::ModelProvisioner::parse`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn parse(&self, text: &str) -> Result<ModelRef> {
        run(self.inner.parse(text))?
    }

    /// Calls [`crate::ModelProvisioner::ensure_present_str`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn ensure_present_str(&self, reference: &str, digest: Option<Digest>) -> Result<ResolvedModel> {
        run(self.inner.ensure_present_str(reference, digest))?
    }

    /// Calls [`crate::ModelProvisioner::ensure_present`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn ensure_present(&self, reference: &ModelRef, digest: Option<Digest>) -> Result<ResolvedModel> {
        run(self.inner.ensure_present(reference, digest))?
    }

    /// Calls [`crate::ModelProvisioner::ensure`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn ensure(&self, reference: &ModelRef, expectation: &Expectation) -> Result<ResolvedModel> {
        run(self.inner.ensure(reference, expectation))?
    }

    /// Calls [`crate::ModelProvisioner::ensure_str`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn ensure_str(&self, reference: &str, expectation: &Expectation) -> Result<ResolvedModel> {
        run(self.inner.ensure_str(reference, expectation))?
    }

    /// Calls [`crate::ModelProvisioner::refresh`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn refresh(&self, reference: &ModelRef, expectation: &Expectation) -> Result<ResolvedModel> {
        run(self.inner.refresh(reference, expectation))?
    }

    /// Calls [`crate::ModelProvisioner::ensure_leased`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn ensure_leased(
        &self,
        reference: &ModelRef,
        expectation: &Expectation,
    ) -> Result<(ResolvedModel, Lease)> {
        run(self.inner.ensure_leased(reference, expectation))?
    }

    /// Calls [`crate::ModelProvisioner::ensure_leased_str`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn ensure_leased_str(
        &self,
        reference: &str,
        expectation: &Expectation,
    ) -> Result<(ResolvedModel, Lease)> {
        run(self.inner.ensure_leased_str(reference, expectation))?
    }

    /// Calls [`crate::ModelProvisioner::lease`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn lease(&self, model: &ResolvedModel) -> Result<Lease> {
        run(self.inner.lease(model))?
    }

    /// Calls [`crate::ModelProvisioner::holders`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn holders(&self, reference: &ModelRef) -> Result<Vec<LeaseHolder>> {
        run(self.inner.holders(reference))?
    }

    /// Calls [`crate::ModelProvisioner::hand_off`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn hand_off(&self, model: &ResolvedModel, dest: &Path) -> Result<PathBuf> {
        run(self.inner.hand_off(model, dest))?
    }

    /// Calls [`crate::ModelProvisioner::provision`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn provision(
        &self,
        config: &ModelProvisionerConfig,
        config_path: &Path,
        dest: &Path,
    ) -> Result<Provisioned> {
        run(self.inner.provision(config, config_path, dest))?
    }

    /// Calls [`crate::ModelProvisioner::attest`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn attest(&self, reference: &ModelRef, options: &AttestOptions) -> Result<Attestation> {
        run(self.inner.attest(reference, options))?
    }

    /// Calls [`crate::ModelProvisioner::exists`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn exists(&self, reference: &ModelRef) -> Result<bool> {
        run(self.inner.exists(reference))?
    }

    /// Calls [`crate::ModelProvisioner::locate`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn locate(&self, reference: &ModelRef) -> Result<Option<ResolvedModel>> {
        run(self.inner.locate(reference))?
    }

    /// Calls [`crate::ModelProvisioner::list`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn list(&self) -> Result<ModelList> {
        run(self.inner.list())?
    }

    /// Calls [`crate::ModelProvisioner::pages`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn pages(&self) -> Result<ModelPages> {
        Ok(ModelPages { inner: run(self.inner.pages())?? })
    }

    /// Calls [`crate::ModelProvisioner::show`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn show(&self, reference: &ModelRef) -> Result<ListedModel> {
        run(self.inner.show(reference))?
    }

    /// Calls [`crate::ModelProvisioner::change`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn change(&self, record: &CatalogRecord) -> Result<Option<String>> {
        run(self.inner.change(record))?
    }

    /// Calls [`crate::ModelProvisioner::verify`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn verify(&self, reference: &ModelRef) -> Result<VerifyReport> {
        run(self.inner.verify(reference))?
    }

    /// Calls [`crate::ModelProvisioner::verify_several`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call, for each.
    pub fn verify_several(&self, references: &[ModelRef]) -> Result<Vec<Result<VerifyReport>>> {
        run(self.inner.verify_several(references))
    }

    /// Checks what [`crate::ModelProvisioner::may_run`] checks.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn may_run(&self, program: &str) -> Result<()> {
        self.inner.may_run(program)
    }

    /// Calls [`crate::ModelProvisioner::overview`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn overview(&self) -> Result<Overview> {
        run(self.inner.overview())?
    }

    /// Calls [`crate::ModelProvisioner::retire`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn retire(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        run(self.inner.retire(reference))?
    }

    /// Calls [`crate::ModelProvisioner::activate`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn activate(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        run(self.inner.activate(reference))?
    }

    /// Calls [`crate::ModelProvisioner::remove`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn remove(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        run(self.inner.remove(reference))?
    }

    /// Calls [`crate::ModelProvisioner::purge`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn purge(&self, reference: &ModelRef) -> Result<Removed> {
        run(self.inner.purge(reference))?
    }

    /// Calls [`crate::ModelProvisioner::import`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn import(&self, request: &ImportRequest) -> Result<ResolvedModel> {
        run(self.inner.import(request))?
    }

    /// Calls [`crate::ModelProvisioner::export`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn export(&self, reference: &ModelRef, dir: &Path) -> Result<CatalogRecord> {
        run(self.inner.export(reference, dir))?
    }

    /// Calls [`crate::ModelProvisioner::plan_eviction`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn plan_eviction(&self, limits: &EvictionLimits) -> Result<EvictionPlan> {
        run(self.inner.plan_eviction(limits))?
    }

    /// Calls [`crate::ModelProvisioner::evict`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn evict(&self, plan: &EvictionPlan) -> Result<EvictionPlan> {
        run(self.inner.evict(plan))?
    }

    /// Calls [`crate::ModelProvisioner::plan`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn plan(&self, reference: &ModelRef) -> Result<EnsurePlan> {
        run(self.inner.plan(reference))?
    }

    /// Calls [`crate::ModelProvisioner::plan_expecting`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn plan_expecting(&self, reference: &ModelRef, expected: &Expectation) -> Result<EnsurePlan> {
        run(self.inner.plan_expecting(reference, expected))?
    }

    /// Calls [`crate::ModelProvisioner::lock`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn lock(&self, reference: &ModelRef) -> Result<LockedModel> {
        run(self.inner.lock(reference))?
    }

    /// Calls [`crate::ModelProvisioner::check_lock`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn check_lock(&self, locked: &LockedModel) -> Result<LockState> {
        run(self.inner.check_lock(locked))?
    }

    /// Calls [`crate::ModelProvisioner::inspect`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn inspect(&self, reference: &ModelRef) -> Result<Inspection> {
        run(self.inner.inspect(reference))?
    }

    /// Calls [`crate::ModelProvisioner::variants`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn variants(&self, reference: &ModelRef, demand: &MemoryRequest) -> Result<Vec<Variant>> {
        run(self.inner.variants(reference, demand))?
    }

    /// Calls [`crate::ModelProvisioner::choose`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn choose(&self, reference: &ModelRef, demand: &MemoryRequest) -> Result<FittingModel> {
        run(self.inner.choose(reference, demand))?
    }

    /// Calls [`crate::ModelProvisioner::provenance_verify`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn provenance_verify(&self, check: &ProvenanceCheck) -> Result<ProvenanceReport> {
        run(self.inner.provenance_verify(check))?
    }

    /// Calls [`crate::ModelProvisioner::provenance_lines`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn provenance_lines(&self, reference: &ModelRef) -> Result<ProvenanceLines> {
        run(self.inner.provenance_lines(reference))?
    }

    /// Calls [`crate::ModelProvisioner::provenance_head`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn provenance_head(&self) -> Result<Option<LinePosition>> {
        run(self.inner.provenance_head())?
    }

    /// Calls [`crate::ModelProvisioner::account`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn account(&self, scheme: &str) -> Result<Option<Account>> {
        run(self.inner.account(scheme))?
    }

    /// Calls [`crate::ModelProvisioner::doctor`], and blocks until it returns.
    ///
    /// # Errors
    /// As the mirrored call.
    pub fn doctor(&self, fix: bool) -> Result<Vec<HealthFinding>> {
        run(self.inner.doctor(fix))?
    }
}

/// Lists the models of the catalog a page at a time, as [`crate::ModelPages`] does.
#[derive(Debug)]
pub struct ModelPages {
    inner: pages::ModelPages,
}

impl Iterator for ModelPages {
    type Item = Result<Vec<ListedModel>>;

    /// Calls [`crate::ModelPages::next_page`], and blocks until it returns.
    fn next(&mut self) -> Option<Self::Item> {
        run(self.inner.next_page()).and_then(|page| page).transpose()
    }
}
