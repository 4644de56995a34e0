//! Give it a model reference; get back a verified local path, a catalog record and a handoff that an engine can
//! start from.
//!
//! A digest that is given is always checked, bytes that have not changed are not read again, and nothing touches the network
//! unless it was asked to. Files and folders that are on this machine already are used in place; with the feature
//! `hf`, models of the Hugging Face Hub are fetched, verified and kept, and with `xet` from where the Hub stores them.
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
//! The core is async and runs on tokio; [`blocking`] mirrors it. The two functions
//! [`provision_from_config_to_handoff`] and [`provision_from_config_to_default_handoff`] are synchronous, and work
//! inside any runtime.

#[cfg(windows)]
compile_error!("model-provisioner is not tested on Windows yet, and does not pretend to work there");

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod builder;
mod doctor;
mod evict;
mod export;
mod import;
mod lease;
mod lifecycle;
mod provisioner;
mod registry;

mod adopt;
mod bring;
mod cache;
mod flight;
mod held;
mod inspect;
mod measure;
mod obtain;
mod offline;
mod plan;
mod presence;
mod provenance;
mod relocated;
mod variant;

pub mod blocking;
mod config;
mod error;
mod provision;

pub use artifact_store::{
    Adoption, Evicted, Kept, Lease, LeaseHolder, LeftoverEntry, LeftoverKind, Plan as EvictionPlan,
    ProcessIdentity, Swept, Terms as EvictionTerms, eviction::DEFAULT_GRACE,
};
pub use async_trait::async_trait;
pub use builder::ProvisionerBuilder;
pub use bytes::Bytes;
pub use catalog_adapter::FsCatalog;
pub use config::{AdoptionConfig, ModelProvisionerConfig, read_named_file};
pub use doctor::{Finding, Overview};
pub use error::{Error, Result};
pub use evict::EvictionLimits;
pub use fetch_file::FileFetcher;
#[cfg(feature = "hf")]
pub use fetch_hf::{HubFetcher, HubSettings, Token, TokenOrigin};
pub use handoff::{self, Handoff};
pub use import::ImportRequest;
pub use lifecycle::{Inventory, InventoryEntry, Removed, VerifyReport};
pub use model_inspect::{
    CacheType, Fit, Inspection, MemoryEstimate, MemoryRequest, ModelInfo, StructureVerifier,
};
pub use plan::{FileState, Plan, PlannedFile};
pub use provision::{
    DEFAULT_LLAMACPP_HANDOFF_PATH, ModelMetadata, Provisioned, provision_from_config_to_default_handoff,
    provision_from_config_to_handoff,
};
pub use provisioner::ModelProvisioner;
#[cfg(feature = "conformance")]
pub use provisioner_core::conformance;
pub use provisioner_core::{self, *};
pub use transfer::Settings as TransferSettings;
pub use variant::Variant;
