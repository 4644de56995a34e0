//! Names the errors of writing, reading and checking a handoff.

use std::{io, path::PathBuf};

use provisioner_core::{ErrorCode, Hint};

/// Names a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a handoff cannot be written, read or relied on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be written.
    #[error("the handoff `{path}` cannot be written")]
    Write {
        /// The path of the handoff.
        path: PathBuf,
        /// The cause of the failure.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("the handoff `{path}` cannot be read")]
    Read {
        /// The path of the handoff.
        path: PathBuf,
        /// The cause of the failure.
        source: io::Error,
    },
    /// The file is not a handoff.
    #[error("`{path}` is not a handoff")]
    Malformed {
        /// The path of the file.
        path: PathBuf,
        /// The cause of the failure.
        source: serde_json::Error,
    },
    /// A newer release wrote the handoff.
    #[error("the handoff `{path}` has schema {found}, and this release knows schema {known}")]
    Newer {
        /// The path of the handoff.
        path: PathBuf,
        /// The schema of the handoff.
        found: u64,
        /// The newest schema that this release reads.
        known: u64,
    },
    /// The document does not prove its own model.
    #[error("the handoff of `{id}` proves nothing: {what}")]
    Unproven {
        /// The id of the model.
        id: String,
        /// Says what the document lacks.
        what: String,
    },
    /// A file is no longer the one that was verified.
    #[error("`{path}` has changed since the handoff: {what}")]
    Changed {
        /// The path of the file.
        path: PathBuf,
        /// Says what changed in the file.
        what: String,
    },
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Write { source, .. } => match ErrorCode::of_io(source) {
                ErrorCode::NotFound => ErrorCode::StorageFailed,
                code => code,
            },
            Self::Read { source, .. } => ErrorCode::of_io(source),
            Self::Malformed { .. } => ErrorCode::DamagedRecord,
            Self::Newer { .. } => ErrorCode::NewerRecord,
            Self::Unproven { .. } => ErrorCode::Unproven,
            Self::Changed { .. } => ErrorCode::DigestMismatch,
        }
    }

    /// Returns the next step, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Changed { .. } | Self::Malformed { .. } | Self::Unproven { .. } => {
                Some(Hint::text("provision the model again"))
            }
            other => other.code().hint(),
        }
    }
}
