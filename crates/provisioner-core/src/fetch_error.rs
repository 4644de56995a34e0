//! Says why a source does not give what a caller asks for.

use std::time::Duration;

use crate::{code::ErrorCode, denial::Denial, hint::Hint};

/// Describes the failure of a source.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// The kind of the failure, which chooses the code and says whether to retry.
    pub kind: FetchErrorKind,
    /// Says what happened, as a fragment that does not repeat the `source`.
    pub message: String,
    /// The next step, where the fetcher knows a better one than that of the code.
    pub hint: Option<Hint>,
    /// How long the source asks not to be called, where it says how long.
    pub retry_after: Option<Duration>,
    /// Says which rule of a policy denies what, where the kind is [`FetchErrorKind::Denied`].
    pub denial: Option<Box<Denial>>,
    /// The error that caused this one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Names a kind of failure of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// The source has nothing of that name.
    NotFound,
    /// The folder or repository has no file of a model.
    Empty,
    /// The source lacks a shard of the set.
    MissingShard,
    /// The reference fits several models.
    Ambiguous,
    /// The name is neither a file nor a folder of files.
    NotAFile,
    /// A path is not valid UTF-8.
    NotUtf8,
    /// A path is not a safe relative path.
    UnsafePath,
    /// The fetcher does not take a reference of this form.
    Unsupported,
    /// A pattern of the selection is malformed.
    InvalidPattern,
    /// The file changed after the source listed it.
    Changed,
    /// The fetcher cannot connect to the source.
    Unreachable,
    /// The source fails for now.
    Unavailable,
    /// The source asks for fewer requests, or for a pause.
    RateLimited,
    /// The source's answer is malformed, or contradicts itself.
    Invalid,
    /// The source refuses these credentials.
    Unauthorized,
    /// The source wants the user to accept its terms first.
    Gated,
    /// The source has disabled the repository, for every user.
    Disabled,
    /// The policy denies what the fetcher needs to do.
    Denied,
    /// The operating system denies access to a file on this machine.
    Permission,
    /// The disk refuses a read or a write.
    Storage,
    /// The program with which the fetcher downloads is not on this machine, or does not work here.
    ToolMissing,
}

impl FetchError {
    /// Makes an error of a kind, with a message that is a fragment.
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None, denial: None, source: None }
    }

    /// Makes the error of a step that a policy denies.
    pub fn denied(denial: Denial) -> Self {
        let error = Self::new(FetchErrorKind::Denied, denial.to_string());
        Self { hint: denial.remedy.clone(), denial: Some(Box::new(denial)), ..error }
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the stable code of the kind.
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
            FetchErrorKind::Unreachable | FetchErrorKind::Unavailable | FetchErrorKind::RateLimited => {
                ErrorCode::SourceUnavailable
            }
            FetchErrorKind::Invalid => ErrorCode::SourceInvalid,
            FetchErrorKind::Unauthorized => ErrorCode::Unauthorized,
            FetchErrorKind::Gated => ErrorCode::Gated,
            FetchErrorKind::Disabled => ErrorCode::Disabled,
            FetchErrorKind::Denied => ErrorCode::PolicyDenied,
            FetchErrorKind::Permission => ErrorCode::PermissionDenied,
            FetchErrorKind::Storage => {
                let cause = self.source.as_ref().and_then(|cause| cause.downcast_ref());
                match cause.map(ErrorCode::of_io) {
                    Some(code @ (ErrorCode::TooManyFiles | ErrorCode::NoSpace)) => code,
                    _ => ErrorCode::StorageFailed,
                }
            }
            FetchErrorKind::ToolMissing => ErrorCode::ToolMissing,
        }
    }
}
