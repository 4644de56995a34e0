//! Defines the names and the contracts of the model provisioner.
//!
//! The words of the whole workspace live here, in the order in which a model meets them. A person names a [`ModelRef`]. A
//! [`ModelFetcher`] pins it to a [`Manifest`]. The caller stages the bytes as a [`StagedModel`]. Its
//! [`judge`](StagedModel::judge) returns a [`VerifiedModel`], or the reason against it. A [`CatalogStore`] keeps the
//! [`CatalogRecord`]. The caller receives a [`ResolvedModel`].
//!
//! This crate opens no socket and no file, and reads no environment. It knows no async runtime, no backend and no layout on
//! disk.
//!
//! ```
//! use provisioner_core::{
//!     Basis, CatalogRecord, ContentHasher, Entry, Expectation, Format, Locator, Manifest, ManifestFile, Placement, RelativePath,
//!     RemoteFile, ResolvedModel, StagedFile, StagedModel, Stamp, Timestamp,
//! };
//!
//! // A fetcher pins a reference to a revision and to its files.
//! let path = RelativePath::new("a.gguf")?;
//! let locator = Locator::Streamed(RemoteFile::new("https://example.org/a.gguf"));
//! let file = ManifestFile { path: path.clone(), size: 4, digest: None, locator };
//! let reference = "mem:org/repo/a.gguf".parse()?;
//! let manifest = Manifest::new(reference, vec![file], Entry::File(path.clone()))?.at_revision("v1");
//!
//! // The caller writes the bytes to the disk, and hashes them as they come.
//! let mut hasher = ContentHasher::new();
//! hasher.update(b"GGUF");
//! let digests = hasher.finish();
//! let staged = StagedFile {
//!     path,
//!     location: std::path::Path::new("/cache/a.gguf").into(),
//!     stamp: Stamp { size: 4, mtime_ns: 0, ctime_ns: None, dev: 1, inode: 7 },
//!     settled: true,
//!     format: Format::Gguf,
//!     sha256: Some(digests.sha256.clone()),
//!     git_sha1: None,
//! };
//!
//! // The verdict is the only way from staged to verified.
//! let now = Timestamp::UNIX_EPOCH;
//! let model = StagedModel::new(manifest, vec![staged])?.judge(&Expectation::pinned(digests.sha256), &[], now)?;
//! assert_eq!(model.verification().basis, Some(Basis::Pinned));
//!
//! // A catalog keeps the record, and the caller receives the model of it.
//! let placement = Placement::in_place(&model).expect("the model is one file");
//! let resolved = ResolvedModel::new(CatalogRecord::new(&model, &placement, now), false);
//! assert_eq!(resolved.id, "mem:org/repo/a.gguf");
//! assert_eq!(resolved.local_path.to_str(), Some("/cache/a.gguf"));
//! # Ok::<(), provisioner_core::Error>(())
//! ```

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

mod choice;
mod lenient;
mod manifest;
mod program_code;
mod python_json;
mod remote_file;
mod source_facts;
mod stamp;
mod training;

mod content_hasher;
mod judge;
mod staged;
mod verification;
mod verified;

mod account;
mod catalog;
mod fact_needs;
mod fetch_error;
mod fetcher;
mod locked;
mod record;
mod recorded;
mod recorded_format;
mod resolved;

mod adopt;
mod host_policy;
mod message;
mod mirror;
mod operator_policy;
mod pace;
mod placed_policy;
mod policy;
mod policy_document;
mod policy_engine;
mod progress;
mod rule_verdict;
mod scratch_folder;
mod shared;
mod signature;
mod size;
mod token;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use account::Account;
pub use adopt::AdoptMode;
pub use catalog::{
    CatalogError, CatalogErrorKind, CatalogStore, DamagedRecord, Listing, PageStart, Precondition,
    RecordPage, Version, Versioned,
};
pub use choice::{LeftOut, LeftOutReason, Notice, Role};
pub use clock::{Clock, Timestamp};
pub use code::{Category, ErrorCode};
pub use content_hasher::{ContentDigests, ContentHasher};
pub use denial::{Denial, DenialKind};
pub use digest::{Digest, DigestAlgorithm, key_of, sha256_tree};
pub use error::{Error, Result};
pub use fact_needs::{FactNeeds, Need};
pub use facts::{MemoryFacts, ModelFacts};
pub use fetch_error::{FetchError, FetchErrorKind};
pub use fetcher::{
    ByteRange, ByteStream, ChosenFiles, DownloadRequest, ModelFetcher, Opened, ResolveRequest,
};
pub use format::Format;
pub use hint::{EnsureEffect, Hint, Repair};
pub use host_policy::HostPolicy;
pub use judge::{DigestVerifier, Finding, Verdict, Verifier};
pub use locked::{LockFile, LockedFile, LockedModel};
pub use manifest::{Entry, Locator, Manifest, ManifestFile};
pub use message::{MOST_TOLD, excerpt, server_text, shell_word, told};
pub use mirror::Mirror;
pub use operator_policy::OperatorPolicy;
pub use pace::{MIN_BYTES_PER_S, Pace};
pub use path::RelativePath;
pub use placed_policy::{PlacedPolicy, PolicyPlace};
pub use policy::{Network, NetworkPolicy, Permission, Policy, ScanRule, SignatureRule};
pub use policy_document::PolicyDocument;
pub use policy_engine::{AllOf, Decision, PolicyEngine, Question, ask};
pub use program_code::{NAMING_CODE, ProgramCode, ProgramFolder};
pub use progress::{NoProgress, ProgressEvent, ProgressSink};
pub use python_json::without_python_numbers;
pub use record::{CatalogRecord, Lifecycle, Placement, RECORD_SCHEMA, RecordedFile};
pub use reference::ModelRef;
pub use rejection::Rejection;
pub use remote_file::RemoteFile;
pub use resolved::{Hold, ResolvedModel};
pub use rule_verdict::{RuleVerdict, verdicts};
pub use scratch_folder::ScratchFolder;
pub use signature::{
    RecordedSignature, SignatureDemand, SignatureFile, SignatureMode, Signer, TrustedSigner,
};
pub use size::{parse_memory, parse_size, readable_size};
pub use source_facts::{ScanStatus, SourceFacts};
pub use staged::{StagedFile, StagedModel};
pub use stamp::Stamp;
pub use token::{Token, TokenOrigin};
pub use training::{is_training_folder, is_training_state};
pub use verification::{Basis, Expectation, Outcome, Verification};
pub use verified::VerifiedModel;
