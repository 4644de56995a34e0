//! The public calls. Each is one line: the folder of its step does the work, and [`ensure`](crate::ensure) has the order
//! of the steps. `upkeep` has the calls about what is recorded.
//!
//! A call returns its future in a box. The compiler builds the body of an `async fn` in each program that calls it, and so it
//! would build all steps again for each program and each test. It builds what is behind a box here, once.

mod upkeep;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use artifact_store::{Lease, LeaseHolder};
use futures_util::future::BoxFuture;
use model_inspect::{Inspection, MemoryRequest};
use provisioner_core::{CatalogRecord, Digest, Expectation, LockedModel, ModelRef, Question, ResolvedModel};

use crate::{
    attest::{self, AttestOptions, Attestation},
    config::ModelProvisionerConfig,
    context::Context,
    ensure,
    error::Result,
    exchange::{
        export,
        import::{self, ImportRequest},
    },
    handoff::{hand_off, lease},
    preview::{
        choose::{self, FittingModel},
        inspect,
        lock::{self, LockState},
        plan::{self, EnsurePlan},
        variants::{self, Variant},
    },
    provision::{self, Provisioned},
    resolve::{presence, reference},
};

/// Makes models present. A clone is cheap, and shares the work of the original.
#[derive(Clone)]
pub struct ModelProvisioner {
    context: Arc<Context>,
}

impl ModelProvisioner {
    pub(crate) fn new(context: Context) -> Self {
        Self { context: Arc::new(context) }
    }

    /// Returns the folder that has the cache: the one that the caller gave, or the private one below it.
    pub fn cache_dir(&self) -> &Path {
        self.context.cache.root()
    }

    /// Checks that the policy lets the provisioner run a program of a source, such as `hf`.
    ///
    /// # Errors
    /// The denial.
    pub fn may_run(&self, program: &str) -> Result<()> {
        self.context.ask(&Question::ShellOut { program })
    }

    /// Parses a reference as a person wrote it. A relative path begins at the working directory. A text such as `hf.co/org/repo`
    /// is a path where something lies there, and names a model of the Hub anywhere else.
    ///
    /// # Errors
    /// [`Error::Core`](crate::Error::Core), with the code of the mistake, as from [`ModelRef::parse`].
    pub fn parse<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<ModelRef>> {
        Box::pin(reference::parse(text))
    }

    /// Makes a model present, and returns where it is. See [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and a reference that cannot be parsed.
    pub fn ensure_present_str<'a>(
        &'a self,
        reference: &'a str,
        digest: Option<Digest>,
    ) -> BoxFuture<'a, Result<ResolvedModel>> {
        Box::pin(async move { self.ensure_str(reference, &expectation(digest)).await })
    }

    /// Makes a model present, and returns where it is. See [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub fn ensure_present<'a>(
        &'a self,
        reference: &'a ModelRef,
        digest: Option<Digest>,
    ) -> BoxFuture<'a, Result<ResolvedModel>> {
        Box::pin(async move { self.ensure(reference, &expectation(digest)).await })
    }

    /// Makes the model of a reference, as a person wrote it, present. See [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and a reference that cannot be parsed.
    pub fn ensure_str<'a>(
        &'a self,
        reference: &'a str,
        expectation: &'a Expectation,
    ) -> BoxFuture<'a, Result<ResolvedModel>> {
        Box::pin(ensure::ensure_str(&self.context, reference, expectation))
    }

    /// Makes a model present: verified as far as the expectation demands, recorded as Active, and at a path that an
    /// engine can open.
    ///
    /// It does not read a model again whose files have not changed since a verifier judged them. Calls of this process
    /// for one id, at the same time, do the work once. The caller may drop the future at any await; then another call
    /// takes over.
    ///
    /// # Errors
    /// The policy denies the model; a verifier refuses the bytes; the source, the catalog or the disk fails. Where a
    /// verifier refuses the model, its record stays as it was.
    pub fn ensure<'a>(
        &'a self,
        reference: &'a ModelRef,
        expectation: &'a Expectation,
    ) -> BoxFuture<'a, Result<ResolvedModel>> {
        Box::pin(ensure::ensure(&self.context, reference, expectation))
    }

    /// Makes a model present at the revision that its branch or tag names now. Where that is another revision than the
    /// recorded one, it fetches the new revision and moves the record to it. The old revision stays in the catalog as
    /// Retired, under the id that names its commit, and its files stay for the engines that use them.
    ///
    /// A source that names no revisions is asked for its listing: where a path, a size or a digest differs from what is recorded, the
    /// new files take the place of the old ones, which no id names any more. A file that the source lists without a digest
    /// may differ, so it is fetched again.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure); `in-use` where a live process has a lease on files whose place the new ones would take. Then the
    /// record stays as it was.
    pub fn refresh<'a>(
        &'a self,
        reference: &'a ModelRef,
        expectation: &'a Expectation,
    ) -> BoxFuture<'a, Result<ResolvedModel>> {
        Box::pin(ensure::refresh(&self.context, reference, expectation))
    }

    /// Makes a model present and takes a lease on it, so that no process removes the model while the lease lives. See
    /// [`ensure`](Self::ensure).
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure) and [`lease`](Self::lease).
    pub fn ensure_leased<'a>(
        &'a self,
        reference: &'a ModelRef,
        expectation: &'a Expectation,
    ) -> BoxFuture<'a, Result<(ResolvedModel, Lease)>> {
        Box::pin(lease::ensure_leased(&self.context, reference, expectation))
    }

    /// Makes the model of a reference, as a person wrote it, present, and takes a lease on it. See
    /// [`ensure_leased`](Self::ensure_leased).
    ///
    /// # Errors
    /// As [`ensure_leased`](Self::ensure_leased), and a reference that cannot be parsed.
    pub fn ensure_leased_str<'a>(
        &'a self,
        reference: &'a str,
        expectation: &'a Expectation,
    ) -> BoxFuture<'a, Result<(ResolvedModel, Lease)>> {
        Box::pin(lease::ensure_leased_str(&self.context, reference, expectation))
    }

    /// Returns whether a model is present. It writes nothing, and asks no source.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub fn exists<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(self.locate(reference).await?.is_some()) })
    }

    /// Returns the model, if it is present: recorded as Active, judged by a verifier, and with files that have not
    /// changed since. It writes nothing, and asks no source.
    ///
    /// [`ensure`](Self::ensure) reads a file again that another process wrote less than two seconds before the verdict;
    /// this call does not.
    ///
    /// # Errors
    /// The catalog or the disk fails.
    pub fn locate<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<Option<ResolvedModel>>> {
        Box::pin(presence::locate(&self.context, reference))
    }

    /// Takes a lease on a model. No process evicts or removes the model's files until the caller drops the lease, and
    /// until every process that inherited it has ended.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog) when another process removed the model meanwhile; the code
    /// `busy` when another process is removing it and does not finish.
    pub fn lease<'a>(&'a self, model: &'a ResolvedModel) -> BoxFuture<'a, Result<Lease>> {
        Box::pin(lease::lease(&self.context, model))
    }

    /// Returns the processes that have a lease on a recorded model.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog); the catalog or the disk fails.
    pub fn holders<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<Vec<LeaseHolder>>> {
        Box::pin(lease::holders(&self.context, reference))
    }

    /// Makes the model of a config present and writes its handoff to `dest`. The policy is this provisioner's, not the
    /// config's, and the path of the handoff is `dest`, not the config's. The statement that the config wants is there before the
    /// handoff. `config_path` goes into the provenance log. Where the
    /// config says what the model must fit into, it is the one that [`choose`](Self::choose) returns.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), [`choose`](Self::choose), [`attest`](Self::attest) and [`hand_off`](Self::hand_off).
    pub fn provision<'a>(
        &'a self,
        config: &'a ModelProvisionerConfig,
        config_path: &'a Path,
        dest: &'a Path,
    ) -> BoxFuture<'a, Result<Provisioned>> {
        Box::pin(async move {
            let mut reference = config.reference()?;
            if let Some(fit) = &config.fit {
                reference = self.choose(&reference, &fit.request()).await?.reference;
            }
            provision::provision(&self.context, config, &reference, config_path, dest).await
        })
    }

    /// Writes a model's handoff, and returns its absolute path. The handoff names the line that the call appends to the
    /// provenance log before that, unless this process may not write to the cache.
    ///
    /// # Errors
    /// [`Error::HandoffInTheWay`](crate::Error::HandoffInTheWay) when `dest` is a file that the calls of this provisioner read
    /// ([`ProvisionerBuilder::inputs`](crate::ProvisionerBuilder::inputs)), one of the model's, or lies in its folder; [`Error::Handoff`](crate::Error::Handoff).
    pub fn hand_off<'a>(
        &'a self,
        model: &'a ResolvedModel,
        dest: &'a Path,
    ) -> BoxFuture<'a, Result<PathBuf>> {
        Box::pin(hand_off::hand_off(&self.context, model, dest, None, &[]))
    }

    /// States what is recorded of a model, and writes the statement whole or not at all. Before that, it appends a line to the
    /// provenance log, which a verification summary names. The summary names the files of this provisioner's policies too. The call
    /// reads no byte of the model.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), [`Error::Retired`](crate::Error::Retired);
    /// [`Error::NothingToState`](crate::Error::NothingToState) for a model that failed, that changed since, or whose digests are not
    /// known; the policy denies the model, for a verification summary; [`Error::HandoffInTheWay`](crate::Error::HandoffInTheWay) for a
    /// path in the model; the disk fails.
    pub fn attest<'a>(
        &'a self,
        reference: &'a ModelRef,
        options: &'a AttestOptions,
    ) -> BoxFuture<'a, Result<Attestation>> {
        Box::pin(attest::attest(&self.context, reference, options))
    }

    /// Copies or links a file or a folder into the store, verifies it, and makes it present under an id. The files at the
    /// path stay as they are. It asks no source.
    ///
    /// # Errors
    /// [`Error::NeedsId`](crate::Error::NeedsId) for a path without an id; [`Error::Bundle`](crate::Error::Bundle) for a
    /// malformed exported folder; the folder lacks a file, or has other bytes; and as [`ensure`](Self::ensure). After an
    /// error nothing of the model is visible.
    pub fn import<'a>(&'a self, request: &'a ImportRequest) -> BoxFuture<'a, Result<ResolvedModel>> {
        Box::pin(import::import(&self.context, request))
    }

    /// Copies a recorded model's files into a folder, with a `SHA256SUMS` and the record, and returns the record as it
    /// wrote it. The folder must be absent or empty. It hashes the bytes while it copies them, and no process removes the
    /// model meanwhile.
    ///
    /// # Errors
    /// [`Error::NotInCatalog`](crate::Error::NotInCatalog), [`Error::Retired`](crate::Error::Retired);
    /// [`Error::Bundle`](crate::Error::Bundle) where the bytes are not the recorded ones, or where a file has the
    /// folder's name. The folder is then empty or absent. After
    /// [`BundleError::NotDurable`](crate::BundleError::NotDurable) it is whole.
    pub fn export<'a>(
        &'a self,
        reference: &'a ModelRef,
        dir: &'a Path,
    ) -> BoxFuture<'a, Result<CatalogRecord>> {
        Box::pin(export::export(&self.context, reference, dir))
    }

    /// Returns what [`ensure`](Self::ensure) would fetch. It asks the source, and transfers no file.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), as far as an error comes before the first byte.
    pub fn plan<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<EnsurePlan>> {
        Box::pin(async move { plan::plan(&self.context, reference, &Expectation::none()).await })
    }

    /// Returns what [`ensure`](Self::ensure) would fetch. Where the expectation demands a signature, the call reads it, and holds
    /// the listing against it.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); no signature meets the demand.
    pub fn plan_expecting<'a>(
        &'a self,
        reference: &'a ModelRef,
        expected: &'a Expectation,
    ) -> BoxFuture<'a, Result<EnsurePlan>> {
        Box::pin(plan::plan(&self.context, reference, expected))
    }

    /// Pins a reference to what its source has now: to the revision, and to the SHA-256 of every file. It fetches small files of
    /// which the source lists no SHA-256, and no large ones. A model that lies in place is hashed.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); [`Error::NoDigest`](crate::Error::NoDigest) for a large file without a SHA-256.
    pub fn lock<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<LockedModel>> {
        Box::pin(lock::lock(&self.context, reference))
    }

    /// Returns whether a locked reference still means what is locked. It asks the source.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn check_lock<'a>(&'a self, locked: &'a LockedModel) -> BoxFuture<'a, Result<LockState>> {
        Box::pin(lock::check(&self.context, locked))
    }

    /// Returns what a model's headers say of it, what memory it needs, and what its source tells of it. It reads the headers of a model of this
    /// machine in place, recorded or not. Of another model it fetches the headers alone, and keeps nothing.
    ///
    /// It compares no digest and records nothing; [`ensure`](Self::ensure) does both.
    ///
    /// # Errors
    /// The policy denies the model; the source fails; [`Error::Inspect`](crate::Error::Inspect) for a model whose
    /// structure is unsound.
    pub fn inspect<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<Inspection>> {
        Box::pin(inspect::inspect(&self.context, reference))
    }

    /// Returns the models that a reference may mean, and how each meets a demand of memory: one, or every GGUF model of a
    /// repository that has several, smallest first. It reads headers, as [`inspect`](Self::inspect) does.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect). Where the reference means several models, one whose structure is unsound is part of
    /// the answer.
    pub fn variants<'a>(
        &'a self,
        reference: &'a ModelRef,
        demand: &'a MemoryRequest,
    ) -> BoxFuture<'a, Result<Vec<Variant>>> {
        Box::pin(variants::variants(&self.context, reference, demand))
    }

    /// Chooses the best of the models that a reference may mean, with the most bits for each weight, that is certain to fit a
    /// demand of memory. It reads headers, as [`variants`](Self::variants) does, and looks at the repository each time. Where the
    /// network is off limits, it chooses among the recorded models of that repository.
    ///
    /// # Errors
    /// As [`variants`](Self::variants); [`Error::NothingFits`](crate::Error::NothingFits) where none is certain to fit.
    pub fn choose<'a>(
        &'a self,
        reference: &'a ModelRef,
        demand: &'a MemoryRequest,
    ) -> BoxFuture<'a, Result<FittingModel>> {
        Box::pin(choose::choose(&self.context, reference, demand))
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
