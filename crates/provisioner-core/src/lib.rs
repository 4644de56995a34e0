//! Names and contracts of the model provisioner.
//!
//! The words of the whole workspace live here, in the order in which a model meets them: a person names a
//! [`ModelRef`]; a [`ModelFetcher`] pins it to a [`Manifest`]; the bytes become a [`StagedModel`]; its
//! [`judge`](StagedModel::judge) makes it a [`VerifiedModel`] or says why not; a [`CatalogStore`] keeps the
//! [`CatalogRecord`]; the caller receives a [`ResolvedModel`].
//!
//! This crate opens no socket and no file, reads no environment, knows no async runtime, no backend and no
//! layout on disk.

mod clock;
mod code;
mod denial;
mod digest;
mod error;
mod facts;
mod format;
mod hint;
mod path;
pub mod reference;
mod rejection;

mod manifest;
mod remote_file;
mod stamp;

mod content_hasher;
mod judge;
mod staged;
mod verification;
mod verified;

mod catalog;
mod fetch_error;
mod fetcher;
mod record;
mod recorded;
mod resolved;

mod adopt;
mod host_policy;
mod message;
mod pace;
mod policy;
mod policy_engine;
mod progress;
mod size;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use adopt::AdoptMode;
pub use catalog::{
    CatalogError, CatalogErrorKind, CatalogStore, DamagedRecord, Expected, Listing, Version, Versioned,
};
pub use clock::{Clock, Timestamp};
pub use code::{Category, ErrorCode};
pub use content_hasher::{ContentDigests, ContentHasher};
pub use denial::{Denial, DenialKind};
pub use digest::{Digest, DigestAlgorithm, key_of, sha256_tree};
pub use error::{Error, Result};
pub use facts::{MemoryFacts, ModelFacts};
pub use fetch_error::{FetchError, FetchErrorKind};
pub use fetcher::{ByteRange, ByteStream, ModelFetcher, Opened, ResolveRequest};
pub use format::Format;
pub use hint::{EnsureEffect, Hint, Repair, config_field};
pub use host_policy::HostPolicy;
pub use judge::{DigestVerifier, Finding, Verdict, Verifier};
pub use manifest::{Entry, Locator, Manifest, ManifestFile};
pub use message::{MOST_TOLD, excerpt, shell_word, told};
pub use pace::{MIN_BYTES_PER_S, Pace};
pub use path::RelativePath;
pub use policy::{Network, Policy};
pub use policy_engine::{AllOf, Decision, PolicyEngine, Question, ask};
pub use progress::{NoProgress, ProgressEvent, ProgressSink};
pub use record::{CatalogRecord, Lifecycle, Placement, RecordedFile};
pub use reference::ModelRef;
pub use rejection::Rejection;
pub use remote_file::RemoteFile;
pub use resolved::{Hold, ResolvedModel};
pub use size::readable_size;
pub use staged::{StagedFile, StagedModel};
pub use stamp::Stamp;
pub use verification::{Basis, Expectation, Outcome, Verification};
pub use verified::VerifiedModel;
