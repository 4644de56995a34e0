//! Describes the errors of names, digests and verdicts, and what a policy denies.

use std::{io, sync::Arc};

use crate::{code::ErrorCode, denial::Denial, format::Format, hint::Hint, rejection::Rejection};

/// Is a result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says why something that a caller gave cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model reference does not parse.
    #[error("invalid reference `{text}`: {reason}")]
    InvalidReference {
        /// The reference, as the caller gave it.
        text: String,
        /// Why the reference does not parse.
        reason: String,
        /// Says what to write instead.
        hint: Option<String>,
    },
    /// The address of a hub is malformed. The message does not show it, for it may carry a password.
    #[error("the hub's address is not one: {reason}")]
    InvalidEndpoint {
        /// Says what is wrong with the address.
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
        /// The path, with its special characters escaped.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A digest is not well formed.
    #[error("invalid digest `{text}`: {reason}")]
    InvalidDigest {
        /// The digest, as the caller gave it.
        text: String,
        /// Says what is wrong with the digest.
        reason: String,
    },
    /// This release does not know the algorithm of a digest.
    #[error("digest algorithm `{name}` is not supported")]
    UnsupportedDigest {
        /// The name of the algorithm, as the caller gave it.
        name: String,
    },
    /// A manifest or a staged model contradicts itself.
    #[error("inconsistent manifest of `{id}`: {reason}")]
    Inconsistent {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The contradiction, as a fragment.
        reason: String,
    },
    /// The policy denies a step.
    #[error("{denial}")]
    PolicyDenied {
        /// Which rule refuses what, and what would allow it.
        denial: Box<Denial>,
    },
    /// The user took the network away for now, and the model is not on this machine.
    #[error("`{id}` is not on this machine, and the network is off limits")]
    Offline {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// Which setting took the network away.
        denial: Box<Denial>,
    },
    /// The user took the network away for now, and a caller asks for a refresh.
    #[error("`{id}` cannot be refreshed, for the network is off limits")]
    OfflineRefresh {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// A program that loads a file of this format can run the code in it.
    #[error("`{path}` is {}", format.danger())]
    RefusedFormat {
        /// The path of the file, as a message shows it.
        path: String,
        /// Which rule refuses the format.
        denial: Box<Denial>,
        /// The format of the file.
        format: Format,
    },
    /// A verifier rejects the model.
    #[error("`{id}`: {rejection}")]
    Rejected {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// Why the verifier rejects the model.
        rejection: Rejection,
    },
    /// A verifier cannot read the model, and so says nothing of it.
    #[error("the {verifier} verifier cannot read `{id}`")]
    Unread {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The name of the verifier.
        verifier: &'static str,
        /// Holds what the operating system said.
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
            Self::InvalidEndpoint { .. } => Some(Hint::WriteEndpoint { example: "https://huggingface.co" }),
            Self::PolicyDenied { denial } => denial.remedy.clone(),
            Self::RefusedFormat { format, .. } if *format != Format::Pickle => {
                Some(Hint::AllowFormatNamed { format: *format })
            }
            Self::Offline { id, .. } => Some(Hint::EnsureOnline { id: id.clone() }),
            Self::OfflineRefresh { .. } => Some(Hint::DoNotRefresh),
            Self::Rejected { rejection, .. } => rejection.hint(),
            other => other.code().hint(),
        }
    }

    /// Returns what a policy denies, and by which rule, where that is the error.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::PolicyDenied { denial }
            | Self::Offline { denial, .. }
            | Self::RefusedFormat { denial, .. } => Some(denial),
            _ => None,
        }
    }
}
