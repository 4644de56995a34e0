//! Building a provisioner.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use artifact_store::{EvictionLimits, LockWait, Store};
use catalog_adapter::{DEFAULT_WAIT, FsCatalog};
use fetch_file::FileFetcher;
use local_caches::Adoption;
use model_inspect::StructureVerifier;
use provisioner_core::{
    CatalogErrorKind, CatalogStore, Clock, Expected, HostPolicy, ModelFetcher, NoProgress, Policy,
    PolicyEngine, ProgressSink, Timestamp, Verifier,
};
use transfer::Transfer;

use crate::{
    cache_dir::CacheDir, catalog::relocated::RelocatedCatalog, context::Context, error::Result,
    own_runtime::run, provisioner::ModelProvisioner, registry::Registry, single_flight::SingleFlight,
};

impl ModelProvisioner {
    /// Returns a provisioner for local files only, which never opens a socket.
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
}

/// Collects what a [`ModelProvisioner`] is made of. Local files are always among the sources.
#[derive(Debug)]
pub struct ProvisionerBuilder {
    cache_dir: PathBuf,
    registry: Registry,
    catalog: Option<Arc<dyn CatalogStore>>,
    policy: Arc<dyn PolicyEngine>,
    skips_structure: bool,
    verifiers: Vec<Arc<dyn Verifier>>,
    progress: Arc<dyn ProgressSink>,
    clock: Arc<dyn Clock>,
    wait: Option<Duration>,
    limits: EvictionLimits,
    transfer: transfer::Settings,
    adoption: Adoption,
}

impl ProvisionerBuilder {
    pub(crate) fn new(cache_dir: PathBuf) -> Self {
        let mut registry = Registry::default();
        registry.add(Box::new(FileFetcher));
        Self {
            cache_dir,
            registry,
            catalog: None,
            policy: Arc::new(Policy::default()),
            skips_structure: false,
            verifiers: Vec::new(),
            progress: Arc::new(NoProgress),
            clock: Arc::new(SystemClock),
            wait: None,
            limits: EvictionLimits::default(),
            transfer: transfer::Settings::default(),
            adoption: Adoption::default(),
        }
    }

    /// Adds a source. For a scheme that several answer for, the last one added does. A fetcher that
    /// [uses the network](ModelFetcher::uses_network) is asked only where the policy allows that.
    #[must_use]
    pub fn fetcher(mut self, fetcher: impl ModelFetcher) -> Self {
        self.registry.add(Box::new(fetcher));
        self
    }

    /// Keeps the records elsewhere than in the cache folder.
    #[must_use]
    pub fn catalog(mut self, catalog: impl CatalogStore) -> Self {
        self.catalog = Some(Arc::new(catalog));
        self
    }

    /// Says what may be done. The default is local-only.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Lets an engine of the caller decide what may be done, instead of a [`Policy`].
    #[must_use]
    pub fn policy_engine(mut self, engine: Arc<dyn PolicyEngine>) -> Self {
        self.policy = engine;
        self
    }

    /// Adds a verifier, to be asked after the digest's, the structure's and those added before.
    #[must_use]
    pub fn verifier(mut self, verifier: impl Verifier) -> Self {
        self.verifiers.push(Arc::new(verifier));
        self
    }

    /// Takes models without reading their headers: the engine alone finds a truncated one, unless the caller gave its digest.
    /// The handoff of such a model says little.
    #[must_use]
    pub fn unsafe_skip_structure(mut self) -> Self {
        self.skips_structure = true;
        self
    }

    /// Sets the sink that shows progress.
    #[must_use]
    pub fn progress(mut self, progress: impl ProgressSink) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Takes the time from elsewhere than the system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how long a call waits for another process that holds the catalog, or that stages the same model, before the error is
    /// `busy`. Otherwise it is 10 seconds for the one; and for the other, as long as it gets on, but no longer than ten
    /// minutes without a byte.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Sets how many bytes the store may take. Before more is fetched than fits, models are evicted as
    /// [`evict`](ModelProvisioner::evict) does; for a model that would not fit all the same, none is.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.limits.max_size_bytes = Some(bytes);
        self
    }

    /// Sets how long a model is left alone after its last use where room is made for another one. Otherwise it is ten minutes.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Sets how many connections a transfer opens, and when it retries.
    #[must_use]
    pub fn transfer(mut self, settings: transfer::Settings) -> Self {
        self.transfer = settings;
        self
    }

    /// Says where other tools keep files on this machine, which need not be fetched then. Otherwise nothing is looked for.
    #[must_use]
    pub fn adopt(mut self, adoption: Adoption) -> Self {
        self.adoption = adoption;
        self
    }

    /// Returns the provisioner.
    ///
    /// Looks at the cache folder, and creates nothing in it but what keeps it private in a temp folder. It may block
    /// for as long as that takes.
    ///
    /// # Errors
    /// [`Error::UnsafeCache`](crate::Error::UnsafeCache) where the folder cannot be trusted;
    /// [`Error::Storage`](crate::Error::Storage); and what the policy says of a source that cannot keep to its hosts.
    pub fn build(mut self) -> Result<ModelProvisioner> {
        self.registry.confine(&HostPolicy::new(Arc::clone(&self.policy)))?;
        let cache = CacheDir::at(&self.cache_dir)?;
        let is_ours = self.catalog.is_none();
        let catalog = match self.catalog {
            Some(catalog) => catalog,
            None => Arc::new(FsCatalog::open(
                cache.root(),
                Arc::clone(&self.clock),
                self.wait.unwrap_or(DEFAULT_WAIT),
            )?),
        };
        let store = cache.store();
        if is_ours {
            rebuild(&self.registry, &store, catalog.as_ref())?;
        }
        let mut verifiers = self.verifiers;
        if !self.skips_structure {
            verifiers.insert(0, Arc::new(StructureVerifier));
        }
        let catalog = Arc::new(RelocatedCatalog::new(catalog, store.clone()));
        Ok(ModelProvisioner::new(Context {
            store,
            transfer: Transfer::new(self.transfer),
            limits: self.limits,
            lock_wait: LockWait { limit: self.wait, stall: STALLED },
            adoption: self.adoption,
            cache,
            registry: self.registry,
            catalog,
            policy: self.policy,
            verifiers,
            progress: self.progress,
            clock: self.clock,
            ensuring: SingleFlight::default(),
        }))
    }
}

/// Puts the fetched models of a cache that has lost its catalog back into it.
fn rebuild(registry: &Registry, store: &Store, catalog: &dyn CatalogStore) -> Result<()> {
    if catalog.exists() || !store.root().join("models").exists() {
        return Ok(());
    }
    let views = store.views()?;
    // No call resumes work that was cut off together with the catalog, so no other call would tidy up after it.
    if let Err(error) = store.sweep() {
        tracing::debug!("what was left of unfinished work stays: {error}");
    }
    if !views.is_empty() {
        tracing::warn!(
            "the catalog was lost, and with it the records of local models and which of the others were retired"
        );
    }
    // Of several commits of one reference, the newest is current; the others were retired by a refresh.
    let mut records: Vec<_> = views.into_iter().map(|view| view.record).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.created_at));
    let mut current = HashSet::new();
    for mut record in records {
        if !current.insert(record.id.clone()) {
            let Some(superseded) = registry.superseded(&record) else { continue };
            record = superseded;
        }
        tracing::warn!("`{}` is put back into the catalog", record.id);
        match run(catalog.put(&record, Expected::Absent))? {
            Err(error) if error.kind != CatalogErrorKind::Conflict => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// How long to wait for another process that stages the same model and does not get on.
const STALLED: Duration = Duration::from_secs(10 * 60);

/// The system's clock, in milliseconds: what a person can use, and what every JSON reader can hold.
#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all other code asks")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
