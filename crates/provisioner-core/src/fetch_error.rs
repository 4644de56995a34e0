//! Why a source does not give what it was asked for.

use std::time::Duration;

use crate::{code::ErrorCode, hint::Hint};

/// Tells of a source's failure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What kind of failure.
    pub kind: FetchErrorKind,
    /// What happened, as a fragment that does not repeat the source.
    pub message: String,
    /// The next step, where it is better than the kind's own.
    pub hint: Option<Hint>,
    /// How long the source asked to be left alone.
    pub retry_after: Option<Duration>,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Names a kind of failure.
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
    /// Makes an error of a kind.
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
    pub fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the stable code.
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
