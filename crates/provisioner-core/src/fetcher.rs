//! Where models come from.

use std::{fmt, pin::Pin, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::{ErrorCode, Manifest, ManifestFile, ModelRef, Policy};

/// Answers for one or more schemes. This is the smallest thing that a new source has to write: resume, retry,
/// hashing, progress and disk are written once, for every scheme, by whoever calls it.
///
/// # Contract
/// - `resolve` moves no bytes of the model. What it returns is pinned: opening a file of it later gives the same
///   bytes, or fails.
/// - Every path in a manifest is a [`RelativePath`](crate::RelativePath): a name that does not make one fails the
///   whole resolve.
/// - `open` tells what the source really answered, in [`Opened`]; it does not pretend to have kept to the range.
/// - **Cancellation**: either call may be dropped at any await, and so may the stream, without leaving anything
///   behind.
/// - **Retries**: none. The caller retries, guided by the error's kind and `retry_after`.
/// - Neither call blocks the runtime.
#[async_trait]
pub trait ModelFetcher: fmt::Debug + Send + Sync + 'static {
    /// The schemes that it answers for, in lower case and without a colon.
    fn schemes(&self) -> &'static [&'static str];

    /// Whether it speaks to a network, which the policy must then allow.
    fn uses_network(&self) -> bool {
        true
    }

    /// Keeps from now on to the hosts that the policy names, wherever its source would send it, and says whether it can. It
    /// is told so once, before anything is asked of it.
    fn confine(&mut self, policy: &Policy) -> bool {
        policy.hosts.is_none() || !self.uses_network()
    }

    /// Pins the reference, applies the selection, lists the files.
    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError>;

    /// Does the same without a network, from what another tool keeps on this machine of the source's answers; the manifest
    /// says [in which file](Manifest::listed_in) it found them. `None` where there is nothing: a fetcher need not look.
    ///
    /// It lists all files of the model, or none: it takes no part of a model for the whole.
    async fn resolve_offline(&self, _request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        Ok(None)
    }

    /// Opens one file of a manifest at a range of bytes.
    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError>;
}

/// What is to be resolved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolveRequest {
    /// The reference.
    pub reference: ModelRef,
    /// The revision that it was pinned to before, and is to be pinned to again.
    pub revision: Option<String>,
}

impl ResolveRequest {
    /// A request for a reference.
    pub fn new(reference: ModelRef) -> Self {
        Self { reference, revision: None }
    }

    /// Pins it to a revision again.
    #[must_use]
    pub fn at_revision(mut self, revision: Option<String>) -> Self {
        self.revision = revision;
        self
    }
}

/// Bytes from `start` up to, and without, `end`; to the end of the file where there is no `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The offset of the first byte.
    pub start: u64,
    /// The offset after the last byte.
    pub end: Option<u64>,
}

impl ByteRange {
    /// The whole file.
    pub const ALL: Self = Self { start: 0, end: None };
}

/// The bytes of a file, in pieces.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, FetchError>> + Send>>;

/// What a source answered.
pub struct Opened {
    /// The range that the stream really covers.
    pub range: ByteRange,
    /// The size of the whole file in bytes, where the source said it.
    pub total_size: Option<u64>,
    /// What names this state of the file (an `ETag`, say), where the source has it.
    pub validator: Option<String>,
    /// The bytes.
    pub stream: ByteStream,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("range", &self.range)
            .field("total_size", &self.total_size)
            .field("validator", &self.validator)
            .finish_non_exhaustive()
    }
}

/// A source's failure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What kind of failure.
    pub kind: FetchErrorKind,
    /// What happened, as a fragment that does not repeat the source.
    pub message: String,
    /// The next step, where it is better than the kind's own.
    pub hint: Option<String>,
    /// How long the source asked to be left alone.
    pub retry_after: Option<Duration>,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// What was named does not exist.
    NotFound,
    /// A folder or repository without a file of a model.
    Empty,
    /// A shard of the set does not exist.
    MissingShard,
    /// The reference fits several models.
    Ambiguous,
    /// What was named is neither a file nor a folder of files.
    NotAFile,
    /// A path is not valid UTF-8.
    NotUtf8,
    /// A path is not a safe relative path.
    UnsafePath,
    /// The reference is of a form that this fetcher does not take.
    Unsupported,
    /// A pattern of the selection is none.
    InvalidPattern,
    /// The file changed since it was listed.
    Changed,
    /// No connection to the source can be made.
    Unreachable,
    /// The source fails, or asks to be left alone for now.
    Unavailable,
    /// The source's answer makes no sense.
    Invalid,
    /// The source wants other credentials.
    Unauthorized,
    /// The source wants its terms to be accepted first.
    Gated,
    /// The source keeps it from everyone.
    Disabled,
    /// The policy does not allow what the source would need.
    Denied,
    /// A file on this machine may not be read.
    Permission,
    /// The disk failed.
    Storage,
}

impl FetchError {
    /// An error of a kind.
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None, source: None }
    }

    /// Says what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self.kind {
            FetchErrorKind::NotFound => ErrorCode::NotFound,
            FetchErrorKind::Empty => ErrorCode::EmptyFolder,
            FetchErrorKind::MissingShard => ErrorCode::MissingShard,
            FetchErrorKind::Ambiguous => ErrorCode::AmbiguousReference,
            FetchErrorKind::NotAFile => ErrorCode::NotAFile,
            FetchErrorKind::NotUtf8 => ErrorCode::PathNotUtf8,
            FetchErrorKind::UnsafePath => ErrorCode::UnsafePath,
            FetchErrorKind::Unsupported => ErrorCode::UnsupportedScheme,
            FetchErrorKind::InvalidPattern => ErrorCode::InvalidReference,
            FetchErrorKind::Changed => ErrorCode::ChangedWhileRead,
            FetchErrorKind::Unreachable | FetchErrorKind::Unavailable => ErrorCode::SourceUnavailable,
            FetchErrorKind::Invalid => ErrorCode::SourceInvalid,
            FetchErrorKind::Unauthorized => ErrorCode::Unauthorized,
            FetchErrorKind::Gated => ErrorCode::Gated,
            FetchErrorKind::Disabled => ErrorCode::Disabled,
            FetchErrorKind::Denied => ErrorCode::PolicyDenied,
            FetchErrorKind::Permission => ErrorCode::PermissionDenied,
            FetchErrorKind::Storage => match self.source.as_ref().and_then(|cause| cause.downcast_ref()) {
                Some(cause) if ErrorCode::of_io(cause) == ErrorCode::TooManyFiles => ErrorCode::TooManyFiles,
                _ => ErrorCode::StorageFailed,
            },
        }
    }
}
