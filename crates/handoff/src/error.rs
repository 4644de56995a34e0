//! What can go wrong with a handoff.

use std::{io, path::PathBuf};

use provisioner_core::{ErrorCode, Hint};

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// A handoff cannot be written, read or relied on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be written.
    #[error("the handoff `{path}` cannot be written")]
    Write {
        /// The handoff.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("the handoff `{path}` cannot be read")]
    Read {
        /// The handoff.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no handoff.
    #[error("`{path}` is no handoff")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The handoff was written by a newer release.
    #[error("the handoff `{path}` has schema {found}, and this release knows schema {known}")]
    Newer {
        /// The handoff.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// The newest schema that this release reads.
        known: u64,
    },
    /// The document proves nothing of its model.
    #[error("the handoff of `{id}` proves nothing: {what}")]
    Unproven {
        /// The model.
        id: String,
        /// What it lacks.
        what: String,
    },
    /// A file is no longer the one that was verified.
    #[error("`{path}` is not as it was when the handoff was written: {what}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// What changed.
        what: String,
    },
}

impl Error {
    /// The stable code.
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

    /// The next step, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Changed { .. } | Self::Malformed { .. } | Self::Unproven { .. } => {
                Some(Hint::text("provision the model again"))
            }
            other => other.code().hint(),
        }
    }
}
