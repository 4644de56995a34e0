//! Says why the bytes of a file did not arrive.

use std::{io, time::Duration};

use provisioner_core::{Denial, Digest, ErrorCode, FetchError, Hint};

/// Names a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a transfer did not fetch a file, or did not get a listing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source failed, and another try did not help.
    #[error(transparent)]
    Source(FetchError),
    /// The source answered something else than the request asked for.
    #[error("`{path}`: {what}")]
    Answer {
        /// The path of the file in its model.
        path: String,
        /// The fault of the answer.
        what: String,
        /// Says whether another request may help.
        may_pass: bool,
    },
    /// The file changed at its source during the fetch.
    #[error("the source changed `{path}` during the transfer")]
    Changed {
        /// The path of the file in its model.
        path: String,
    },
    /// No byte arrived for too long.
    #[error("`{path}`: nothing arrived for {} seconds", .after.as_secs())]
    Stalled {
        /// The path of the file in its model.
        path: String,
        /// How long no byte arrived.
        after: Duration,
    },
    /// Bytes arrived, and too few of them.
    #[error("`{path}`: only {bytes} bytes arrived in {} seconds", .after.as_secs())]
    TooSlow {
        /// The path of the file in its model.
        path: String,
        /// How many bytes arrived.
        bytes: u64,
        /// In which time they arrived.
        after: Duration,
    },
    /// The bytes have another digest than the source gives, after two fetches.
    #[error("`{path}`: digest mismatch: expected {expected}, got {actual}")]
    Mismatch {
        /// The path of the file in its model.
        path: String,
        /// The digest that the source gives.
        expected: Digest,
        /// The digest of the bytes that arrived.
        actual: Digest,
    },
    /// The disk did not take the bytes.
    #[error("the bytes cannot be kept")]
    Disk(#[from] io::Error),
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Source(error) => error.code(),
            Self::Answer { may_pass: false, .. } => ErrorCode::SourceInvalid,
            Self::Answer { may_pass: true, .. } | Self::Stalled { .. } | Self::TooSlow { .. } => {
                ErrorCode::SourceUnavailable
            }
            Self::Changed { .. } => ErrorCode::ChangedWhileRead,
            Self::Mismatch { .. } => ErrorCode::DigestMismatch,
            Self::Disk(error) => match ErrorCode::of_io(error) {
                ErrorCode::NotFound => ErrorCode::StorageFailed,
                code => code,
            },
        }
    }

    /// Returns the next step, where there is a better one than the code's.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Source(error) => error.hint.clone(),
            _ => None,
        }
    }

    /// Returns what a policy denies, where that is the error.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Source(error) => error.denial.as_deref(),
            _ => None,
        }
    }

    /// Returns whether the same request may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Source(error) => error.code().is_retriable(),
            Self::Answer { may_pass, .. } => *may_pass,
            Self::Stalled { .. } | Self::TooSlow { .. } => true,
            _ => false,
        }
    }

    /// Returns the same error, of a source that asks for a longer pause than the limit.
    pub(crate) fn beyond(self, limit: Duration) -> Self {
        let Self::Source(mut error) = self else { return self };
        error.message = format!("{}, and {} seconds are the limit", error.message, limit.as_secs());
        error.hint = error.hint.map(|hint| hint.and(Hint::WaitLongerForSource));
        Self::Source(error)
    }

    /// Returns how long a pause the source asks for, where it says how long.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Source(error) => error.retry_after,
            _ => None,
        }
    }
}
