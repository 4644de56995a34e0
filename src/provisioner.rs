//! The public calls. Each is one line: the work is in the folder of its step, and [`ensure`](crate::ensure) has the order of the
//! steps.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use artifact_store::{EvictionLimits, EvictionPlan, Lease, LeaseHolder};
use model_inspect::{Inspection, MemoryRequest};
use provisioner_core::{CatalogRecord, Digest, Expectation, ModelRef, ResolvedModel};

use crate::{
    config::ModelProvisionerConfig,
    context::Context,
    ensure,
    error::Result,
    exchange::{
        export,
        import::{self, ImportRequest},
    },
    handoff::{
        hand_off, lease,
        provision::{self, Provisioned},
    },
    preview::{
        inspect,
        plan::{self, Plan},
        variants::{self, Variant},
    },
    resolve::{presence, reference},
    space::evict,
    upkeep::{
        doctor::{self, finding::HealthFinding},
        inventory::{self, Inventory, InventoryEntry},
        overview::{self, Overview},
        remove::{self, Removed},
        retire,
        verify::{self, VerifyReport},
    },
};

/// Makes models present. Cheap to clone; clones share their work.
#[derive(Clone)]
pub struct ModelProvisioner {
    context: Arc<Context>,
}

impl ModelProvisioner {
    pub(crate) fn new(context: Context) -> Self {
        Self { context: Arc::new(context) }
    }

    /// Returns the folder that everything is kept in: the one that was given, or the private one below it.
    pub fn cache_dir(&self) -> &Path {
        self.context.cache.root()
    }

    /// Parses a reference as a person wrote it. A relative path is taken from the working directory.
    ///
    /// # Errors
    /// As [`ModelRef::parse`].
    pub async fn parse(&self, text: &str) -> Result<ModelRef> {
        reference::parse(text).await
    }

    /// Makes a model present, and returns where it is. See [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and a reference that cannot be parsed.
    pub async fn ensure_present_str(&self, reference: &str, digest: Option<Digest>) -> Result<ResolvedModel> {
        self.ensure_str(reference, &expectation(digest)).await
    }

    /// Makes a model present, and returns where it is. See [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub async fn ensure_present(
        &self,
        reference: &ModelRef,
        digest: Option<Digest>,
    ) -> Result<ResolvedModel> {
        self.ensure(reference, &expectation(digest)).await
    }

    /// Makes the model of a reference, as a person wrote it, present. See [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and a reference that cannot be parsed.
    pub async fn ensure_str(&self, reference: &str, expectation: &Expectation) -> Result<ResolvedModel> {
        ensure::ensure_str(&self.context, reference, expectation).await
    }

    /// Makes a model present: verified as far as the expectation demands, recorded as Active, and at a path that an
    /// engine can open.
    ///
    /// A model whose files have not changed since they were judged is not read again. Calls of this process for one id, at the
    /// same time, do the work once. The caller may drop the future at any await; then another call takes over.
    ///
    /// # Errors
    /// A denial by the policy, a verdict on the bytes, and a failure of the source, the catalog or the disk. The record
    /// of a model that does not meet the expectation stays as it was.
    pub async fn ensure(&self, reference: &ModelRef, expectation: &Expectation) -> Result<ResolvedModel> {
        ensure::ensure(&self.context, reference, expectation).await
    }

    /// Makes a model present at the revision that its branch or tag names now. When that is another one than is recorded, it
    /// is fetched, the record moves to it, and the old one stays in the catalog as Retired, under the id that names its
    /// commit. The files of the old one stay as they are, for those who use it.
    ///
    /// A source that names no revisions is asked for its listing: where a path, a size or a digest differs from what is recorded, the
    /// new files take the place of the old ones, which no id names any more. A file that the source lists without a digest
    /// may differ, so it is fetched again.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure); `in-use` where a live process has a lease on files whose place the new ones would take. Then the
    /// record stays as it was.
    pub async fn refresh(&self, reference: &ModelRef, expectation: &Expectation) -> Result<ResolvedModel> {
        ensure::refresh(&self.context, reference, expectation).await
    }

    /// Makes a model present and takes a lease on it, so that it stays for as long as the lease lives. See
    /// [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure) and [`lease`](Self::lease).
    pub async fn ensure_leased(
        &self,
        reference: &ModelRef,
        expectation: &Expectation,
    ) -> Result<(ResolvedModel, Lease)> {
        lease::ensure_leased(&self.context, reference, expectation).await
    }

    /// Returns whether a model is present. Writes nothing, and asks no source.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub async fn exists(&self, reference: &ModelRef) -> Result<bool> {
        Ok(self.locate(reference).await?.is_some())
    }

    /// Returns the model, if it is present: recorded as Active, judged, and with files that have not changed since. Writes
    /// nothing, and asks no source.
    ///
    /// It does not promise what [`ensure`](Self::ensure) does of a file that was written less than two seconds
    /// before it was judged.
    ///
    /// # Errors
    /// A failure of the catalog or the disk.
    pub async fn locate(&self, reference: &ModelRef) -> Result<Option<ResolvedModel>> {
        presence::locate(&self.context, reference).await
    }

    /// Takes a lease on a model: until it is dropped, and until every process that it was handed to has ended, no process
    /// evicts or removes the model's files.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("tiny.gguf");
    /// # std::fs::write(&path, testkit::TINY_GGUF).unwrap();
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// use model_provisioner::ModelProvisioner;
    /// use std::process::Command;
    ///
    /// let provisioner = ModelProvisioner::file_only(dir.path().join("cache"))?;
    /// let model = provisioner.ensure_present_str(path.to_str().unwrap(), None).await?;
    /// let mut lease = provisioner.lease(&model).await?;
    /// let mut command = Command::new("cat");
    /// command.arg(&model.local_path);
    /// let mut engine = lease.spawn(command).unwrap();
    /// let model = model.holding(lease); // and as long as `model` lives
    /// engine.wait().unwrap();
    /// # drop(model);
    /// # Ok::<(), model_provisioner::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog) when another process removed the model meanwhile; `busy` when one is
    /// removing it and does not come to an end.
    pub async fn lease(&self, model: &ResolvedModel) -> Result<Lease> {
        lease::lease(&self.context, model).await
    }

    /// Returns the processes that have a lease on a recorded model.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), and a failure of the catalog or the disk.
    pub async fn holders(&self, reference: &ModelRef) -> Result<Vec<LeaseHolder>> {
        lease::holders(&self.context, reference).await
    }

    /// Makes the model of a config present and writes its handoff to `dest`. The policy is this provisioner's own, not the
    /// config's, and so is the place of the handoff. `config_path` is for the provenance log.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and what keeps the handoff from being written.
    pub async fn provision(
        &self,
        config: &ModelProvisionerConfig,
        config_path: &Path,
        dest: &Path,
    ) -> Result<Provisioned> {
        provision::provision(&self.context, config, config_path, dest).await
    }

    /// Writes a model's handoff, and returns its absolute path.
    ///
    /// # Errors
    /// [`Error::HandoffInTheWay`](crate::Error::HandoffInTheWay) when that is one of the model's files, or lies in its folder;
    /// [`Error::Handoff`](crate::Error::Handoff).
    pub async fn hand_off(&self, model: &ResolvedModel, dest: &Path) -> Result<PathBuf> {
        hand_off::hand_off(model, dest).await
    }

    /// Returns everything in the catalog, as it is recorded: no model is looked at.
    ///
    /// # Errors
    /// A failure of the catalog as a whole; a record that cannot be read is part of the answer.
    pub async fn list(&self) -> Result<Inventory> {
        inventory::list(&self.context).await
    }

    /// Returns what the catalog keeps of a model. Whether that is still so, [`change`](Self::change) tells.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), and a failure of the catalog.
    pub async fn show(&self, reference: &ModelRef) -> Result<InventoryEntry> {
        inventory::show(&self.context, reference).await
    }

    /// Returns how the files of a record differ from those that were judged, for a person; `None` where they do not. Looks at
    /// their stamps, opens none of them, and records nothing: what the record says is of the bytes that there were.
    ///
    /// # Errors
    /// [`Error::CutOff`](crate::Error::CutOff).
    pub async fn change(&self, record: &CatalogRecord) -> Result<Option<String>> {
        inventory::change(&self.context, record).await
    }

    /// Reads all bytes of a recorded model, compares them with the digest that it has, and records the outcome. A
    /// model without a digest gets the one that was computed, on the basis of first use.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), and what keeps the bytes from being read. Wrong bytes are not an
    /// error of this call, but a report with [`Outcome::Fail`](crate::Outcome::Fail).
    pub async fn verify(&self, reference: &ModelRef) -> Result<VerifyReport> {
        verify::verify(&self.context, reference).await
    }

    /// Verifies several models, as [`verify`](Self::verify) does, as many at once as there are cores. The answers are in the
    /// order of the references.
    pub async fn verify_several(&self, references: &[ModelRef]) -> Vec<Result<VerifyReport>> {
        verify::verify_several(&self.context, references).await
    }

    /// Keeps a model, and refuses it until it is activated. Returns its record.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), and a failure of the catalog.
    pub async fn retire(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        retire::retire(&self.context, reference).await
    }

    /// Makes a retired model usable again. Returns its record.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), and a failure of the catalog.
    pub async fn activate(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        retire::activate(&self.context, reference).await
    }

    /// Removes a model's record, and frees those of its fetched files that no other record has. The files of a local model are
    /// the caller's, and stay. Its unfinished transfers go too.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), a failure of the catalog, and `busy` where a live process has
    /// a lease on the model.
    pub async fn remove(&self, reference: &ModelRef) -> Result<CatalogRecord> {
        remove::remove(&self.context, reference).await
    }

    /// Removes all that is kept of a model: as [`remove`](Self::remove), and the unfinished transfers of a model that has no
    /// record too.
    ///
    /// # Errors
    /// As [`remove`](Self::remove); [`Error::NotInCatalog`](crate::Error::NotInCatalog) where there is neither a record nor a
    /// transfer.
    pub async fn purge(&self, reference: &ModelRef) -> Result<Removed> {
        remove::purge(&self.context, reference).await
    }

    /// Returns what [`evict`](Self::evict) would remove, and why; removes nothing.
    ///
    /// # Errors
    /// [`StoreError::UntrustedLocks`](crate::StoreError::UntrustedLocks) where locks are not to be trusted, so that the store cannot tell
    /// which models are in use; a failure of the catalog or the disk.
    pub async fn plan_eviction(&self, limits: &EvictionLimits) -> Result<EvictionPlan> {
        evict::plan_eviction(&self.context, limits).await
    }

    /// Removes what a plan names and no caller has used since the plan was made, and returns what went.
    ///
    /// # Errors
    /// As [`plan_eviction`](Self::plan_eviction); `busy` where other processes put models into the store all the time.
    pub async fn evict(&self, plan: &EvictionPlan) -> Result<EvictionPlan> {
        evict::evict(&self.context, plan).await
    }

    /// Takes a file or a folder into the store, verified, and makes it present under an id. The files at the path stay as
    /// they are. No source is asked.
    ///
    /// # Errors
    /// [`Error::NeedsId`](crate::Error::NeedsId); [`Error::Store`](crate::Error::Store) for a folder that was exported and makes
    /// no sense; files that are missing there or have other bytes; and as [`ensure`](Self::ensure). Then nothing is visible of it.
    pub async fn import(&self, request: &ImportRequest) -> Result<ResolvedModel> {
        import::import(&self.context, request).await
    }

    /// Copies a recorded model's files into a folder, which must be absent or empty, with a `SHA256SUMS` and the record;
    /// and returns the record as it is written there. The bytes are hashed on the way, and no process removes the model
    /// before they are copied.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), [`Error::Retired`](crate::Error::Retired);
    /// [`Error::Store`](crate::Error::Store) where bytes are not those that are recorded, or a file is at the folder's name.
    /// Then the folder is empty or absent; but after [`StoreError::NotDurable`](crate::StoreError::NotDurable) it is whole.
    pub async fn export(&self, reference: &ModelRef, dir: &Path) -> Result<CatalogRecord> {
        export::export(&self.context, reference, dir).await
    }

    /// Returns what ensuring a model would fetch. Asks the source, and moves nothing.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), as far as it comes before the first byte.
    pub async fn plan(&self, reference: &ModelRef) -> Result<Plan> {
        plan::plan(&self.context, reference).await
    }

    /// Returns what a model says of itself, and what memory it needs. A model that is here is read where it lies, whether it is
    /// recorded or not; of another one, only headers are fetched, and nothing is kept.
    ///
    /// Nothing is compared with a digest, and nothing is recorded: that is what [`ensure`](Self::ensure) is for.
    ///
    /// # Errors
    /// A denial by the policy, a failure of the source, and [`Error::Inspect`](crate::Error::Inspect) for a
    /// model whose structure is unsound.
    pub async fn inspect(&self, reference: &ModelRef) -> Result<Inspection> {
        inspect::inspect(&self.context, reference).await
    }

    /// Returns the models that a reference may mean, and how each meets a demand: one, or every GGUF model of a repository
    /// that has several, smallest first. Reads headers, as [`inspect`](Self::inspect) does.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect); but one of several whose structure is unsound is part of the answer.
    pub async fn variants(&self, reference: &ModelRef, demand: &MemoryRequest) -> Result<Vec<Variant>> {
        variants::variants(&self.context, reference, demand).await
    }

    /// Returns the state of the cache. Reads no model, and opens no socket.
    ///
    /// # Errors
    /// A failure of the catalog or the disk.
    pub async fn overview(&self) -> Result<Overview> {
        overview::overview(&self.context).await
    }

    /// Looks for problems of the cache, and repairs them where `fix` says so: a damaged record is set aside, and
    /// its model can be made present anew; a whole model without a record gets one; lost links, seals and modes are
    /// restored; a model whose files have other stamps is read, and recorded anew where its bytes are the same; and what
    /// dead processes left is removed. It touches nothing of a live process, and no file that is not ours.
    ///
    /// # Errors
    /// What keeps it from looking.
    pub async fn doctor(&self, fix: bool) -> Result<Vec<HealthFinding>> {
        doctor::doctor(&self.context, fix).await
    }
}

impl fmt::Debug for ModelProvisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelProvisioner").field("cache", &self.context.cache).finish_non_exhaustive()
    }
}

fn expectation(digest: Option<Digest>) -> Expectation {
    digest.map_or_else(Expectation::none, Expectation::pinned)
}
