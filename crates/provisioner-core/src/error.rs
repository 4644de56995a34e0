//! Errors of names, digests and verdicts, and of what a policy denies.

use std::{io, sync::Arc};

use crate::{code::ErrorCode, denial::Denial, hint::Hint, rejection::Rejection};

/// Is a result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Tells why something that was given cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model reference cannot be parsed.
    #[error("invalid reference `{text}`: {reason}")]
    InvalidReference {
        /// The reference, as it was given.
        text: String,
        /// Why it cannot be parsed.
        reason: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The address of a hub is not one. It is not shown, for it may carry a password.
    #[error("the hub's address is not one: {reason}")]
    InvalidEndpoint {
        /// What is wrong with it.
        reason: String,
    },
    /// A path is not valid UTF-8.
    #[error("path `{path}` is not valid UTF-8")]
    PathNotUtf8 {
        /// The path, with replacement characters.
        path: String,
    },
    /// A path is not a safe relative path.
    #[error("unsafe path `{path}`: {reason}")]
    UnsafePath {
        /// The path, escaped.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A digest is not well formed.
    #[error("invalid digest `{text}`: {reason}")]
    InvalidDigest {
        /// The digest, as it was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A digest's algorithm is not known here.
    #[error("digest algorithm `{name}` is not supported")]
    UnsupportedDigest {
        /// The algorithm, as it was given.
        name: String,
    },
    /// A manifest or a staged model contradicts itself.
    #[error("inconsistent manifest of `{id}`: {reason}")]
    Inconsistent {
        /// The model.
        id: String,
        /// The contradiction.
        reason: String,
    },
    /// The policy does not allow it.
    #[error("{denial}")]
    PolicyDenied {
        /// Which rule refuses what, and what would allow it.
        denial: Box<Denial>,
    },
    /// The network is off limits for now, and the model is not on this machine.
    #[error("`{id}` is not on this machine, and the network is off limits")]
    Offline {
        /// The model.
        id: String,
    },
    /// The network is off limits for now, and a look at the source was asked for.
    #[error("`{id}` cannot be refreshed, for the network is off limits")]
    OfflineRefresh {
        /// The model.
        id: String,
    },
    /// The format can run code when it is loaded.
    #[error("`{path}` is a pickle, which can run code when it is loaded")]
    RefusedFormat {
        /// The file.
        path: String,
    },
    /// A verifier said no.
    #[error("`{id}`: {rejection}")]
    Rejected {
        /// The model.
        id: String,
        /// Why.
        rejection: Rejection,
    },
    /// A verifier cannot read the model, and so says nothing of it.
    #[error("`{id}` cannot be read for its {verifier} to be verified")]
    Unread {
        /// The model.
        id: String,
        /// The verifier's name.
        verifier: &'static str,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidReference { .. } => ErrorCode::InvalidReference,
            Self::InvalidEndpoint { .. } => ErrorCode::InvalidUsage,
            Self::PathNotUtf8 { .. } => ErrorCode::PathNotUtf8,
            Self::UnsafePath { .. } => ErrorCode::UnsafePath,
            Self::InvalidDigest { .. } => ErrorCode::InvalidDigest,
            Self::UnsupportedDigest { .. } => ErrorCode::UnsupportedDigest,
            Self::Inconsistent { .. } => ErrorCode::SourceInvalid,
            Self::PolicyDenied { .. } => ErrorCode::PolicyDenied,
            Self::Offline { .. } | Self::OfflineRefresh { .. } => ErrorCode::Offline,
            Self::RefusedFormat { .. } => ErrorCode::RefusedFormat,
            Self::Rejected { rejection, .. } => rejection.code(),
            Self::Unread { source, .. } => ErrorCode::of_io(source),
        }
    }

    /// Returns the next step, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::InvalidReference { hint, .. } => hint.clone().map(Hint::from),
            Self::InvalidEndpoint { .. } => {
                Some(Hint::text("set HF_ENDPOINT to an address such as `https://huggingface.co`"))
            }
            Self::PolicyDenied { denial } => denial.remedy.clone().map(Hint::from),
            Self::Offline { id } => Some(Hint::EnsureOnline { id: id.clone() }),
            Self::OfflineRefresh { .. } => Some(Hint::DoNotRefresh),
            Self::Rejected { rejection, .. } => rejection.hint(),
            other => other.code().hint(),
        }
    }
}
