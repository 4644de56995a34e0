//! Takes a model reference, and returns a verified local path, a catalog record and a handoff that an engine can start
//! from.
//!
//! The provisioner always checks a digest that the caller gives. It does not read bytes again that have not changed. It
//! opens no connection unless the caller and the policy allow the network. It uses files and folders of this machine in
//! place. With the feature `hf` it fetches models of the Hugging Face Hub, verifies them and keeps them; with the feature
//! `xet` it fetches large files from where the Hub stores them; with the feature `hf-cli` the Hub's own command may fetch instead.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let dir = tempfile::tempdir().unwrap();
//! # let (cache, model) = (dir.path().join("cache"), dir.path().join("tiny.gguf"));
//! # std::fs::write(&model, testkit::TINY_GGUF).unwrap();
//! use model_provisioner::{Digest, ModelProvisioner};
//!
//! let provisioner = ModelProvisioner::file_only(&cache)?;
//! let digest: Digest = "sha256:a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99".parse()?;
//! let ready = provisioner.ensure_present_str(model.to_str().unwrap(), Some(digest)).await?;
//! assert_eq!(ready.local_path, model);
//! # Ok::<(), model_provisioner::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Names
//! **Calling**: [`ModelProvisioner`] has the calls. They take a [`ModelRef`] and an [`Expectation`], and return a
//! [`ResolvedModel`], a [`CatalogRecord`], an [`EnsurePlan`], an [`EvictionPlan`], an [`Inspection`] or a [`Lease`]. An [`Error`]
//! has an [`ErrorCode`] and a [`Hint`]. [`Handoff`] is the document that an engine starts from.
//!
//! **Configuring**: a [`ProvisionerBuilder`] takes a [`Policy`], an [`Adoption`], [`TransferSettings`], [`EvictionLimits`], a [`LockFile`], and the
//! parts that come along: [`FileFetcher`], [`FsCatalog`], [`StructureVerifier`], [`SystemClock`]. A
//! [`ModelProvisionerConfig`] is a file of the operator.
//!
//! **Implementing**: [`ModelFetcher`] is the contract of a source, [`Verifier`] of a judge, [`CatalogStore`] of a catalog,
//! [`PolicyEngine`] of a policy, [`ProgressSink`] of a display, [`Clock`] of a clock. The feature `conformance` has the suites that
//! the first three pass.
//!
//! The core is async and runs on tokio; [`blocking`] mirrors it. The two functions [`provision_from_config_to_handoff`]
//! and [`provision_from_config_to_default_handoff`] are synchronous, and work inside any runtime.

#[cfg(windows)]
compile_error!("model-provisioner is not tested on Windows yet, and does not pretend to work there");

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryPage;

#[cfg(doctest)]
#[doc = include_str!("../docs/lock.md")]
struct LockPage;

// The parts of a provisioner, which every step works with.
mod cache_dir;
mod config;
mod context;
mod error;
mod lock_file;
mod own_runtime;
mod policy_file;
mod registry;
mod retry;
mod secret_file;
pub mod signing;
mod single_flight;
mod store_lock;
mod system_clock;
mod via;
mod yaml;

// The flow, in its order: a file imports none of a later step.

// Catalog records: the first step reads them, and the last one writes them.
mod catalog;

// Reference → manifest, or the model that is present.
mod resolve;

// Makes room for missing bytes.
mod space;

// Manifest → staged model.
mod stage;

// Staged model → verified model.
mod verify;

// Verified model → record.
mod commit;

// Runs the steps in this order.
mod ensure;

// Writes and reads what an engine receives.
pub mod handoff;

// Record → statement.
mod attest;

// Config → model, statement and handoff.
mod provision;

// Works with recorded models, with models of other machines, and with models that the source still has.

mod upkeep;

mod exchange;

mod preview;

// The calls that callers see.

mod provisioner;

mod builder;

mod from_config;

pub mod blocking;

// Calling: references, expectations, what a call returns, and its errors.
pub use ::handoff::Error as HandoffError;
pub use artifact_store::{
    Error as StoreError, Evicted, EvictionPlan, EvictionRequest, Kept, Lease, LeaseHolder, LeftoverEntry,
    LeftoverKind, Swept,
};
pub use attest::{AttestOptions, Attestation, StatementDest};
pub use attestation::{StatementFormat, is_uri};
pub use bundle::Error as BundleError;
pub use durable_fs::ProcessIdentity;
pub use error::{Error, Interruption, Result};
pub use exchange::import::ImportRequest;
pub use from_config::{
    DEFAULT_LLAMACPP_HANDOFF_PATH, provision_from_config_to_default_handoff, provision_from_config_to_handoff,
};
pub use handoff::{Handoff, hand_off::check_inputs_stay};
pub use model_inspect::{
    DetailedFacts, Engine, EngineShare, Error as InspectError, Fit, FlashAttention, Inspection, KvLayer,
    KvType, MemoryEstimate, MemoryRequest, Quantizer, RopeScaling, TypeShare,
};
#[cfg(feature = "signing")]
pub use model_signing::{Error as SigningError, PrivateKey};
pub use preview::{
    choose::FittingModel,
    lock::LockState,
    plan::{EnsurePlan, FileState, PlannedFile, PlannedSignature},
    variants::Variant,
};
pub use provenance_log::{
    Error as ProvenanceError, Fault as ProvenanceFault, FaultKind as ProvenanceFaultKind, NoPosition,
    Position as LinePosition, Report as ChainReport,
};
pub use provision::{ModelMetadata, Provisioned};
pub use provisioner::ModelProvisioner;
pub use provisioner_core::{
    AdoptMode, Basis, CatalogRecord, Category, DamagedRecord, Denial, DenialKind, Digest, DigestAlgorithm,
    EnsureEffect, Error as CoreError, ErrorCode, Expectation, Format, Hint, Hold, LeftOut, LeftOutReason,
    Lifecycle, LockFile, LockedFile, LockedModel, MemoryFacts, ModelFacts, ModelRef, Notice, Outcome,
    RecordedFile, RecordedSignature, RelativePath, Repair, ResolvedModel, Role, SignatureDemand, Signer,
    Stamp, Timestamp, TrustedSigner, Verification, excerpt, key_of, parse_memory, parse_size, readable_size,
    reference, sha256_tree, shell_word,
};
pub use transfer::Error as TransferError;
pub use upkeep::{
    doctor::finding::HealthFinding,
    list::{ListedModel, ModelList},
    overview::Overview,
    pages::ModelPages,
    provenance::{
        HandoffCounts, HandoffFault, PositionFault, ProvenanceCheck, ProvenanceLine, ProvenanceLines,
        ProvenanceReport,
    },
    remove::Removed,
    verify::VerifyReport,
};

// Configuring: what an operator or a caller builds a provisioner from.
pub use artifact_store::{DEFAULT_GRACE, EvictionLimits};
pub use builder::ProvisionerBuilder;
pub use catalog_adapter::FsCatalog;
pub use config::{
    AdoptionConfig, AttestConfig, FitConfig, ModelProvisionerConfig, SignatureConfig, read_named_file,
};
pub use fetch_file::FileFetcher;
#[cfg(feature = "hf-cli")]
pub use fetch_hf::{HubCommandFetcher, HubCommandSettings};
#[cfg(feature = "hf")]
pub use fetch_hf::{HubFetcher, HubSettings};
pub use local_caches::Adoption;
pub use lock_file::read_lock_file;
#[cfg(feature = "lockfile")]
pub use lock_file::{locked_references, write_lock_file};
pub use model_inspect::StructureVerifier;
pub use policy_file::PolicyFile;
pub use provisioner_core::{
    Account, AllOf, Decision, MIN_BYTES_PER_S, Mirror, Network, NetworkPolicy, NoProgress, OperatorPolicy,
    Pace, Permission, PlacedPolicy, Policy, PolicyDocument, PolicyEngine, PolicyPlace, ProgressEvent,
    Question, RuleVerdict, ScanRule, ScanStatus, SignatureMode, SignatureRule, SourceFacts, Token,
    TokenOrigin,
};
pub use secret_file::read_secret_file;
pub use system_clock::SystemClock;
pub use transfer::Settings as TransferSettings;
pub use via::Via;

// Implementing: the contracts, and the types that their methods take and return.
pub use async_trait::async_trait;
pub use bytes::Bytes;
#[cfg(feature = "conformance")]
pub use provisioner_core::conformance;
pub use provisioner_core::{
    ByteRange, ByteStream, CatalogError, CatalogErrorKind, CatalogStore, ChosenFiles, Clock, ContentDigests,
    ContentHasher, DigestVerifier, DownloadRequest, Entry, FactNeeds, FetchError, FetchErrorKind, Finding,
    HostPolicy, Listing, Locator, MOST_TOLD, Manifest, ManifestFile, ModelFetcher, Need, Opened, PageStart,
    Placement, Precondition, ProgressSink, RecordPage, Rejection, RemoteFile, ResolveRequest, ScratchFolder,
    SignatureFile, StagedFile, StagedModel, Verdict, VerifiedModel, Verifier, Version, Versioned, ask, told,
    verdicts,
};
