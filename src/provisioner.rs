//! The order of steps.
//!
//! ```text
//! reference ─policy─▶ catalog ─present─▶ resolved
//!                        │ absent, or changed
//!                        ▼
//!   flight ▶ look again ▶ policy ▶ fetcher.resolve ▶ manifest ▶ measure ▶ staged ▶ judge ▶ verified
//!                        ▼
//!   catalog.put ▶ provenance ▶ resolved
//! ```

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use artifact_store::{Adoption, LockWait, Store};

use provisioner_core::{
    Basis, CatalogErrorKind, CatalogRecord, CatalogStore, Clock, Digest, Expectation, Lifecycle, ModelRef,
    Outcome, PolicyEngine, ProgressEvent, ProgressSink, Question, ResolvedModel, Verifier, Versioned, ask,
};

use transfer::Transfer;

use crate::{
    Error, ProvisionerBuilder, Result,
    adopt::Adoptee,
    cache::Cache,
    evict::EvictionLimits,
    flight::Flights,
    presence::{Freshness, freshness},
    provenance::{Action, Line, ProvenanceLog},
    registry::Registry,
};

/// How often a change of a record is tried again when others change it at the same time.
pub(crate) const MAX_CONFLICTS: usize = 100;

/// Makes models present. Cheap to clone; clones share their work.
#[derive(Clone)]
pub struct ModelProvisioner {
    pub(crate) parts: Arc<Parts>,
    flights: Arc<Flights<Expectation, Result<ResolvedModel>>>,
}

/// What a provisioner is made of.
pub(crate) struct Parts {
    pub(crate) cache: Cache,
    pub(crate) store: Store,
    pub(crate) transfer: Transfer,
    /// How long to wait for another process that is bringing the same model.
    pub(crate) lock_wait: LockWait,
    pub(crate) adoption: Adoption,
    /// How much the store may take.
    pub(crate) limits: EvictionLimits,
    pub(crate) registry: Registry,
    pub(crate) catalog: Arc<dyn CatalogStore>,
    pub(crate) policy: Arc<dyn PolicyEngine>,
    pub(crate) verifiers: Vec<Arc<dyn Verifier>>,
    pub(crate) progress: Arc<dyn ProgressSink>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl ModelProvisioner {
    /// A provisioner for local files only, which never opens a socket.
    ///
    /// # Errors
    /// As [`ProvisionerBuilder::build`].
    pub fn file_only(cache_dir: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(cache_dir).build()
    }

    /// Begins a provisioner with a cache folder.
    pub fn builder(cache_dir: impl Into<PathBuf>) -> ProvisionerBuilder {
        ProvisionerBuilder::new(cache_dir.into())
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), flights: Arc::default() }
    }

    /// Reads a reference as a person wrote it. A relative path is taken from the working directory.
    ///
    /// # Errors
    /// What [`ModelRef::parse`] says.
    pub async fn parse(&self, text: &str) -> Result<ModelRef> {
        let text = text.to_owned();
        // A working directory that is gone matters to a relative path only.
        blocking(move || Ok(ModelRef::parse(&text, std::env::current_dir().ok().as_deref())?)).await
    }

    /// Makes a model present, and returns where it is. See [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and what is wrong with the reference.
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
    /// As [`ensure`](Self::ensure), and what is wrong with the reference.
    pub async fn ensure_str(&self, reference: &str, expectation: &Expectation) -> Result<ResolvedModel> {
        let parsed = self.parse(reference).await?;
        self.ensure(&parsed, expectation).await.map_err(|error| error.guessing(reference))
    }

    /// Makes a model present: verified as far as the expectation demands, recorded as Active, and at a path that an
    /// engine can open.
    ///
    /// A model whose files have not changed since they were judged is not read again. The same call for one id in
    /// this process, at the same time, does the work once; a call may be dropped at any await, and then another one
    /// takes over.
    ///
    /// # Errors
    /// What is wrong with the reference, its source, its bytes, the policy, the catalog or the disk. The record
    /// of a model that does not meet the expectation stays as it was.
    pub async fn ensure(&self, reference: &ModelRef, expectation: &Expectation) -> Result<ResolvedModel> {
        let reference = self.canonical(reference).await?;
        let id = reference.id();
        self.parts.ask(&Question::Reference(&reference))?;
        if let Some(present) = self.present(&id, expectation).await? {
            return Ok(present);
        }
        self.flights.join(&id, expectation, self.bring(&reference, expectation)).await
    }

    /// Makes a model present at the revision that its branch or tag names now. When that is another one than is recorded, it
    /// is fetched, the record moves to it, and the old one stays in the catalog as Retired, under the id that names its
    /// commit. Nothing is changed under those who use the old one.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure). Then the record stays as it was.
    pub async fn refresh(&self, reference: &ModelRef, expectation: &Expectation) -> Result<ResolvedModel> {
        if self.parts.registry.find(reference).is_ok_and(|fetcher| !fetcher.has_revisions()) {
            return self.ensure(reference, expectation).await;
        }
        let id = reference.id();
        for _ in 0..MAX_CONFLICTS {
            let Some(previous) = self.parts.catalog.get(&id).await? else { break };
            let old = previous.record.clone();
            if old.lifecycle == Lifecycle::Retired {
                return Err(Error::Retired { id });
            }
            self.parts.ask(&Question::Reference(reference))?;
            let manifest = match self.resolve(reference, None).await {
                Err(Error::Core(provisioner_core::Error::Offline { id })) => {
                    return Err(provisioner_core::Error::OfflineRefresh { id }.into());
                }
                manifest => manifest?,
            };
            if manifest.revision() == old.revision.as_deref() {
                break;
            }
            let judged = self.judge_anew(reference, expectation, Some(&previous), Some(manifest)).await;
            let (verified, lock) = match judged {
                Err(error) if error.is_conflict() => continue,
                judged => judged?,
            };
            let Some(verified) = verified else { continue };
            let moved = match self.commit(verified, Some(previous), lock, Action::Ensure).await {
                Err(error) if error.is_conflict() => continue,
                done => done?,
            };
            if let Some(superseded) = old.superseded() {
                self.keep_superseded(superseded).await?;
            }
            let was_pinned = old.verification.basis == Some(Basis::Pinned);
            if was_pinned && expectation.digest().is_none() {
                tracing::warn!("`{id}` was pinned by a digest, which is not that of its new revision");
            }
            return Ok(moved);
        }
        self.ensure(reference, expectation).await
    }

    /// Records what a refresh leaves behind, while nothing takes it away. Since the record moved, no record has named its view: a
    /// removal may have taken it, and then there is nothing to record.
    async fn keep_superseded(&self, superseded: CatalogRecord) -> Result<()> {
        let store_lock = self.lock_shared().await?;
        let (parts, record) = (Arc::clone(&self.parts), superseded.clone());
        if blocking(move || Ok(parts.is_whole(&record))).await? {
            match self.put(superseded, None, Action::Retire).await {
                Err(Error::Catalog(error)) if error.kind == CatalogErrorKind::Conflict => {}
                put => drop(put?),
            }
        }
        drop(store_lock);
        Ok(())
    }

    /// Whether a model is present. Writes nothing, and asks no source.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub async fn exists(&self, reference: &ModelRef) -> Result<bool> {
        Ok(self.locate(reference).await?.is_some())
    }

    /// The model, if it is present: recorded as Active, judged, and with files that have not changed since. Writes
    /// nothing, and asks no source.
    ///
    /// It does not promise what [`ensure`](Self::ensure) does of a file that was written less than two seconds
    /// before it was judged.
    ///
    /// # Errors
    /// What is wrong with the catalog or the disk.
    pub async fn locate(&self, reference: &ModelRef) -> Result<Option<ResolvedModel>> {
        let id = self.canonical(reference).await?.id();
        let Some(Versioned { record, .. }) = self.parts.catalog.get(&id).await? else { return Ok(None) };
        if record.lifecycle != Lifecycle::Active || record.verification.outcome == Outcome::Fail {
            return Ok(None);
        }
        let parts = Arc::clone(&self.parts);
        let (record, is_there) = blocking(move || {
            let is_there =
                freshness(&record, &parts.store) == Freshness::Unchanged && parts.is_whole(&record);
            Ok((record, is_there))
        })
        .await?;
        Ok(is_there.then(|| ResolvedModel::new(record, true)))
    }

    /// The folder that everything is kept in: the one that was given, or the private one below it.
    pub fn cache_dir(&self) -> &std::path::Path {
        self.parts.cache.root()
    }

    /// Appends to the provenance log that a model was handed off.
    pub(crate) async fn record_handoff(
        &self,
        model: &ResolvedModel,
        config: PathBuf,
        handoff: PathBuf,
    ) -> Result<()> {
        let (parts, model) = (Arc::clone(&self.parts), model.clone());
        blocking(move || {
            let line = Line {
                config: Some(&config),
                handoff: Some(&handoff),
                local_path: Some(&model.local_path),
                digest: model.digest.as_ref(),
                ..Line::new(parts.clock.now(), Action::Provision, &model.id)
                    .with_verification(&model.verification)
            };
            parts.provenance().note(&line);
            Ok(())
        })
        .await
    }

    /// The reference with what only the disk knows.
    pub(crate) async fn canonical(&self, reference: &ModelRef) -> Result<ModelRef> {
        match reference {
            ModelRef::Local(local) if local.as_str().contains("/..") => {
                let local = local.clone();
                blocking(move || Ok(ModelRef::Local(fetch_file::tidy(&local)?))).await
            }
            other => Ok(other.clone()),
        }
    }

    /// The model, if its record satisfies the expectation and its files have not changed.
    pub(crate) async fn present(&self, id: &str, expectation: &Expectation) -> Result<Option<ResolvedModel>> {
        let Some(Versioned { record, .. }) = self.parts.catalog.get(id).await? else { return Ok(None) };
        if record.lifecycle == Lifecycle::Retired {
            return Err(Error::Retired { id: id.to_owned() });
        }
        self.parts.check_policy(&record)?;
        if !record.satisfies(expectation) {
            return Ok(None);
        }
        let parts = Arc::clone(&self.parts);
        blocking(move || {
            if let Freshness::Changed(reason) = freshness(&record, &parts.store) {
                tracing::debug!("`{}` is judged again: {reason}", record.id);
                return Ok(None);
            }
            if !parts.is_whole(&record) {
                tracing::debug!("`{}` is judged again: its removal was begun", record.id);
                return Ok(None);
            }
            tracing::debug!("`{}` is present, and unchanged", record.id);
            parts.store.touch_used(&record.id);
            let model = ResolvedModel::new(record, true);
            parts.note_ensure(&model);
            Ok(Some(model))
        })
        .await
    }
}

impl Parts {
    pub(crate) fn provenance(&self) -> ProvenanceLog {
        ProvenanceLog::new(self.cache.provenance())
    }

    /// What the policy says of a model that is recorded.
    pub(crate) fn check_policy(&self, record: &CatalogRecord) -> Result<()> {
        self.ask(&Question::Size { id: &record.id, size_bytes: record.size_bytes })?;
        for file in &record.files {
            let location = record.location(&file.path);
            let path = &location.to_string_lossy();
            self.ask(&Question::Format { path, format: file.format })?;
        }
        Ok(())
    }

    /// Asks the policy, and turns a denial into the error.
    pub(crate) fn ask(&self, question: &Question<'_>) -> Result<()> {
        Ok(ask(self.policy.as_ref(), question)?)
    }

    /// Whether nobody has begun to take a model out of the store.
    pub(crate) fn is_whole(&self, record: &CatalogRecord) -> bool {
        !self.store.holds(record.root()) || self.store.is_sealed(record.root())
    }

    /// Appends that a record was changed.
    pub(crate) fn record_line(&self, action: Action, record: &CatalogRecord) {
        let line = Line {
            local_path: Some(&record.local_path),
            digest: record.digest.as_ref(),
            ..Line::new(self.clock.now(), action, &record.id).with_verification(&record.verification)
        };
        self.provenance().record(&line);
    }

    /// Appends that a model was asked for and is present.
    fn note_ensure(&self, model: &ResolvedModel) {
        let line = Line {
            local_path: Some(&model.local_path),
            digest: model.digest.as_ref(),
            cached: Some(true),
            ..Line::new(self.clock.now(), Action::Ensure, &model.id).with_verification(&model.verification)
        };
        self.provenance().note(&line);
        self.announce(model);
    }

    /// Appends from where files of a model were taken in.
    pub(crate) fn note_adopted(&self, model: &ResolvedModel, adopted: &[Adoptee]) {
        if !adopted.is_empty() {
            let line = Line {
                local_path: Some(&model.local_path),
                digest: model.digest.as_ref(),
                adopted: Some(adopted),
                ..Line::new(self.clock.now(), Action::Adopt, &model.id)
            };
            self.provenance().record(&line);
        }
    }

    pub(crate) fn announce(&self, model: &ResolvedModel) {
        self.progress.on_event(&ProgressEvent::Ready { id: model.id.clone(), cached: model.cached });
    }
}

impl fmt::Debug for ModelProvisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelProvisioner").field("cache", &self.parts.cache).finish_non_exhaustive()
    }
}

fn expectation(digest: Option<Digest>) -> Expectation {
    digest.map_or_else(Expectation::none, Expectation::pinned)
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Tells blocking work, when it is dropped, that nobody waits for the outcome any more.
#[derive(Debug, Default)]
pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    /// What says whether it was dropped.
    pub(crate) fn watch(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let given_up = Arc::clone(&self.0);
        move || given_up.load(Ordering::Relaxed)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
