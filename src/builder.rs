//! Builds a provisioner from its parts.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use artifact_store::{EvictionLimits, LockWait, Store};
use catalog_adapter::FsCatalog;
use fetch_file::FileFetcher;
use local_caches::Adoption;
use model_inspect::StructureVerifier;
use provisioner_core::{
    AllOf, CatalogErrorKind, CatalogStore, Clock, HostPolicy, LockFile, ModelFetcher, NoProgress,
    PlacedPolicy, Policy, PolicyEngine, Precondition, ProgressSink, Verifier,
};
use transfer::Transfer;

use crate::{
    cache_dir::CacheDir, catalog::relocated::RelocatedCatalog, context::Context, error::Result,
    own_runtime::run, provisioner::ModelProvisioner, registry::Registry, single_flight::SingleFlight,
    system_clock::SystemClock,
};

impl ModelProvisioner {
    /// Returns a provisioner for files of this machine alone. It never opens a socket.
    ///
    /// # Errors
    /// As [`ProvisionerBuilder::build`].
    pub fn file_only(cache_dir: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(cache_dir).build()
    }

    /// Begins a provisioner with a cache folder. See [`ProvisionerBuilder`].
    pub fn builder(cache_dir: impl Into<PathBuf>) -> ProvisionerBuilder {
        ProvisionerBuilder::new(cache_dir.into())
    }
}

/// Collects the parts of a [`ModelProvisioner`]. Files of this machine are always among its sources.
#[derive(Debug)]
pub struct ProvisionerBuilder {
    cache_dir: PathBuf,
    registry: Registry,
    lock: Option<LockFile>,
    inputs: Vec<PathBuf>,
    catalog: Option<Arc<dyn CatalogStore>>,
    /// Whether the caller gave a policy, which stands instead of the default.
    has_policy: bool,
    policies: Vec<Arc<dyn PolicyEngine>>,
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
            lock: None,
            inputs: Vec::new(),
            catalog: None,
            has_policy: false,
            policies: Vec::new(),
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

    /// Adds a fetcher. The last one added for a scheme answers for it. The provisioner asks a fetcher that [uses the
    /// network](ModelFetcher::uses_network) only where the policy allows the network.
    #[must_use]
    pub fn fetcher(mut self, fetcher: impl ModelFetcher) -> Self {
        self.registry.add(Box::new(fetcher));
        self
    }

    /// Adds a mirror: a fetcher that may have at another place what the source of its schemes has. `name` is what messages and the
    /// provenance log call it, such as its address.
    ///
    /// The provisioner asks the mirrors in the order in which they were added, before the source, and only for a model whose SHA-256
    /// it knows from elsewhere: from a [lock file](Self::locked), from the caller or from a record. It skips one that has other bytes,
    /// with a warning. A mirror needs no trust, and it should get no token.
    #[must_use]
    pub fn mirror(mut self, name: impl Into<String>, fetcher: impl ModelFetcher) -> Self {
        self.registry.add_mirror(name.into(), Box::new(fetcher));
        self
    }

    /// Holds every model to a lock file. A call asks no source which revision a reference means: it makes the locked revision present,
    /// with the locked bytes, on the basis `pinned`. A reference that the lock file does not have fails with the code `not-locked`.
    #[must_use]
    pub fn locked(mut self, lock: LockFile) -> Self {
        self.lock = Some(lock);
        self
    }

    /// Names files that the caller reads for its calls, such as the one of a token, and folders of such files: neither a handoff nor a
    /// statement replaces one. The provisioner knows those of its lock file and its policies by itself.
    #[must_use]
    pub fn inputs(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.inputs.extend(paths);
        self
    }

    /// Sets the catalog that has the records, instead of the one in the cache folder.
    #[must_use]
    pub fn catalog(mut self, catalog: impl CatalogStore) -> Self {
        self.catalog = Some(Arc::new(catalog));
        self
    }

    /// Adds a policy, which says what a call may do. Without any, the default allows local files alone. Several hold together: a step
    /// needs the consent of each, so none loosens another.
    #[must_use]
    pub fn policy(mut self, policy: impl Into<PlacedPolicy<Policy>>) -> Self {
        self.has_policy = true;
        self.policies.push(Arc::new(policy.into()));
        self
    }

    /// Adds a policy engine, such as the [`PolicyFile`](crate::PolicyFile) of an operator. A step needs the consent of every
    /// [`Policy`] and of every engine, so an engine loosens nothing.
    #[must_use]
    pub fn policy_engine(mut self, engine: Arc<dyn PolicyEngine>) -> Self {
        self.policies.push(engine);
        self
    }

    /// Leaves the default policy out, where the caller adds engines that decide about everything. Without any of these, every step is
    /// allowed.
    #[must_use]
    pub fn unsafe_skip_default_policy(mut self) -> Self {
        self.has_policy = true;
        self
    }

    /// Adds a verifier. The provisioner asks it after those of the digest and of the structure, and after those added
    /// before.
    #[must_use]
    pub fn verifier(mut self, verifier: impl Verifier) -> Self {
        self.verifiers.push(Arc::new(verifier));
        self
    }

    /// Accepts models without reading their headers. Only the engine then notices a truncated model whose digest the
    /// caller did not give. The handoff of such a model has few facts.
    #[must_use]
    pub fn unsafe_skip_structure(mut self) -> Self {
        self.skips_structure = true;
        self
    }

    /// Sets the sink that receives the events of progress.
    #[must_use]
    pub fn progress(mut self, progress: impl ProgressSink) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Sets the clock, instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how long a call waits for another process before it fails with the code `busy`. By default a call waits 10
    /// seconds for a process that changes the catalog. For a process that stages the same model it waits while that
    /// process makes progress, and gives up after ten minutes without a byte.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Sets how many bytes the store may take. A call that would fetch more than fits evicts models first, as
    /// [`evict`](ModelProvisioner::evict) does. It evicts none for a model that would not fit even then.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.limits.max_size_bytes = Some(bytes);
        self
    }

    /// Sets how long after its last use a model is safe from eviction for another one. The default is ten minutes.
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

    /// Sets where other tools keep files on this machine, so that the provisioner need not fetch them. By default it
    /// looks nowhere.
    #[must_use]
    pub fn adopt(mut self, adoption: Adoption) -> Self {
        self.adoption = adoption;
        self
    }

    /// Returns the provisioner that these parts make.
    ///
    /// The call looks at the cache folder. It creates the folder that keeps the cache private in a temp folder. Where the
    /// catalog is lost, it records the models of the store again, and it imports an `index.json` of catalog-core 0.1. It may
    /// block.
    ///
    /// # Errors
    /// [`Error::UnsafeCache`](crate::Error::UnsafeCache) where another user could change the cache;
    /// [`Error::Storage`](crate::Error::Storage) where the disk fails; [`Error::Fetch`](crate::Error::Fetch) for a
    /// fetcher that cannot keep to the hosts of the policy.
    pub fn build(mut self) -> Result<ModelProvisioner> {
        if !self.has_policy {
            self.policies.push(Arc::new(PlacedPolicy::from(Policy::default())));
        }
        let policy: Arc<dyn PolicyEngine> = Arc::new(AllOf(self.policies));
        self.registry.confine(&HostPolicy::new(Arc::clone(&policy)))?;
        let cache = CacheDir::at(&self.cache_dir)?;
        let is_ours = self.catalog.is_none();
        let catalog = match self.catalog {
            Some(catalog) => catalog,
            None => Arc::new(FsCatalog::open(
                cache.root(),
                Arc::clone(&self.clock),
                self.wait.unwrap_or(FsCatalog::DEFAULT_WAIT),
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
            lock: self.lock,
            inputs: self.inputs,
            catalog,
            policy,
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
    // No call resumes a transfer that was cut off when the catalog was lost, so no other call would remove what it left.
    if let Err(error) = store.sweep() {
        tracing::debug!("the leftovers of unfinished work stay: {error}");
    }
    if !views.is_empty() {
        tracing::warn!(
            "the cache has models and no catalog: the first run was cut off, or the catalog was lost, and with it the records of local \
             models and which of the others were retired"
        );
    }
    // Of several commits of one reference, the newest is current. A refresh retired the others.
    let mut records: Vec<_> = views.into_iter().map(|view| view.record).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.created_at));
    let mut current = HashSet::new();
    for mut record in records {
        if !current.insert(record.id.clone()) {
            let Some(superseded) = registry.superseded(&record) else { continue };
            record = superseded;
        }
        tracing::warn!("`{}` is put back into the catalog", record.id);
        match run(catalog.put(&record, Precondition::Absent))? {
            Err(error) if error.kind != CatalogErrorKind::Conflict => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// How long a call waits for another process that stages the same model and makes no progress.
const STALLED: Duration = Duration::from_secs(10 * 60);
