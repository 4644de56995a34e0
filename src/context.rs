//! Holds what every step works with, and runs work that may block.

use std::{
    any::Any,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use artifact_store::{EvictionLimits, LockWait, Store};
use local_caches::Adoption;
use provisioner_core::{
    CatalogStore, Clock, Expectation, LockFile, PolicyEngine, ProgressEvent, ProgressSink, Question,
    ResolvedModel, Verifier, ask,
};
use transfer::Transfer;

use crate::{
    cache_dir::CacheDir,
    error::{Interruption, Result},
    registry::Registry,
    single_flight::SingleFlight,
};

/// Holds the parts of one provisioner, which all of its steps share.
pub(crate) struct Context {
    pub(crate) cache: CacheDir,
    pub(crate) store: Store,
    pub(crate) transfer: Transfer,
    /// How long a step waits for another process that stages the same model.
    pub(crate) lock_wait: LockWait,
    pub(crate) adoption: Adoption,
    /// How many bytes the store may take, and how long a model is safe after its last use.
    pub(crate) limits: EvictionLimits,
    pub(crate) registry: Registry,
    /// What the models must be, where the caller holds them to a lock file.
    pub(crate) lock: Option<LockFile>,
    /// The files that the caller reads, and folders of such files: no document replaces one.
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) catalog: Arc<dyn CatalogStore>,
    pub(crate) policy: Arc<dyn PolicyEngine>,
    pub(crate) verifiers: Vec<Arc<dyn Verifier>>,
    pub(crate) progress: Arc<dyn ProgressSink>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The models that calls of this process are ensuring now.
    pub(crate) ensuring: SingleFlight<Expectation, Result<ResolvedModel>>,
}

impl Context {
    /// Runs file work on a thread that may block. The work goes to its end when the caller drops the future.
    pub(crate) async fn run_blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = Arc::clone(self);
        run_blocking(move || work(&context)).await
    }

    /// Asks the policy, and turns a denial into the error.
    pub(crate) fn ask(&self, question: &Question<'_>) -> Result<()> {
        Ok(ask(self.policy.as_ref(), question)?)
    }

    /// Tells the progress sink that a model is ready.
    pub(crate) fn announce(&self, model: &ResolvedModel) {
        self.progress.on_event(&ProgressEvent::Ready { id: model.id.clone(), cached: model.cached });
    }
}

/// Runs file work that needs no context on a thread that may block.
///
/// The runtime sees one type of work, a box. It would compile its task once more for each type of closure.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let work: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> = Box::new(move || Box::new(work()));
    let done = tokio::task::spawn_blocking(work).await?;
    *done.downcast().map_err(|_| Interruption::RuntimeShutDown)?
}

/// Tells blocking work that its caller dropped it and no longer waits for the outcome.
#[derive(Debug, Default)]
pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    /// Returns a function that says whether the caller has dropped this.
    pub(crate) fn watch(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let is_cancelled = Arc::clone(&self.0);
        move || is_cancelled.load(Ordering::Relaxed)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
