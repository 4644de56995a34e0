//! What can go wrong with bytes at rest.

use std::{io, path::PathBuf};

use provisioner_core::{Digest, ErrorCode, RelativePath, readable_size};

use crate::LeaseHolder;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// The store cannot keep or find something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed.
    #[error("the store failed")]
    Io(#[from] io::Error),
    /// There is too little space for what is to be fetched.
    #[error(
        "not enough space in `{path}`: {} are needed, and {} are free",
        readable_size(*.needed_bytes),
        readable_size(*.free_bytes)
    )]
    NoSpace {
        /// The store.
        path: PathBuf,
        /// How much is needed.
        needed_bytes: u64,
        /// How much is free, without what other transfers will take.
        free_bytes: u64,
    },
    /// There is too little room within the limit of size, whatever is taken away.
    #[error(
        "no room in `{path}`, which may take {limit_bytes} bytes: {needed_bytes} bytes are needed, and it would \
         be {over_bytes} bytes over its limit with all evicted that may be"
    )]
    NoRoom {
        /// The store.
        path: PathBuf,
        /// How much it may take.
        limit_bytes: u64,
        /// How much is needed.
        needed_bytes: u64,
        /// How much is too much.
        over_bytes: u64,
    },
    /// Something that is not ours lies where our files should be.
    #[error("{0}")]
    NotOurs(String),
    /// Another process holds the lock.
    #[error("{0}")]
    Busy(String),
    /// Live processes have a lease on the model.
    #[error("`{id}` is in use by {}", told(.holders))]
    Leased {
        /// The model.
        id: String,
        /// Who has one, as far as they say.
        holders: Vec<LeaseHolder>,
    },
    /// Locks are not to be trusted here, and so nobody knows what is in use.
    #[error("nothing is taken away from `{path}`: {reason}, so nobody can tell what is in use")]
    Doubtful {
        /// The store.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Somebody wrote to a file that was being taken in.
    #[error("`{path}` changed while it was being taken in")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are carried elsewhere, or come from there, are not what they should be.
    #[error("`{path}`: digest mismatch: expected {expected}, got {actual}")]
    Differs {
        /// The file's place in the model.
        path: RelativePath,
        /// The digest that it should have.
        expected: Digest,
        /// The digest that it has.
        actual: Digest,
    },
    /// A file that is carried here has another size than its record says: no byte of it has to be read to refuse it.
    #[error(
        "`{path}`: digest mismatch: expected {expected} of {expected_bytes} bytes, got {actual_bytes} bytes"
    )]
    WrongSize {
        /// The file's place in the model.
        path: RelativePath,
        /// The digest that it should have.
        expected: Digest,
        /// The size that it should have, in bytes.
        expected_bytes: u64,
        /// The size that it has, in bytes.
        actual_bytes: u64,
    },
    /// There is something where a model is to be exported to.
    #[error("`{path}` is no empty folder, or the model has a file that its own table needs")]
    InTheWay {
        /// The folder.
        path: PathBuf,
    },
    /// A model was exported, and a loss of power may undo it.
    #[error(
        "`{path}` is exported and whole, and a loss of power may undo it, for its name cannot be made durable"
    )]
    NotDurable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder that says that it was exported makes no sense.
    #[error("`{path}` was not exported as it is: {reason}")]
    InvalidExport {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A folder was exported by a newer release.
    #[error(
        "`{path}` was exported by a newer release: it has schema {found}, and this release knows schema {known}"
    )]
    NewerExport {
        /// The folder.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// The newest that is known.
        known: u64,
    },
    /// Nobody waits for the outcome any more.
    #[error("nobody waits for it any more")]
    GivenUp,
    /// Bytes that a commit had found were taken away before it. Bringing the model again helps.
    #[error("`{path}` was taken away meanwhile")]
    Vanished {
        /// The blob.
        path: PathBuf,
    },
    /// A path of a model is not one that a view can have.
    #[error(transparent)]
    Core(#[from] provisioner_core::Error),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io(source) | Self::NotDurable { source, .. } => match ErrorCode::of_io(source) {
                ErrorCode::NotFound => ErrorCode::StorageFailed,
                code => code,
            },
            Self::NoSpace { .. } | Self::NoRoom { .. } => ErrorCode::NoSpace,
            Self::NotOurs(_) => ErrorCode::UnsafeCache,
            Self::Busy(_) | Self::Vanished { .. } => ErrorCode::Busy,
            Self::Leased { .. } => ErrorCode::InUse,
            Self::Doubtful { .. } => ErrorCode::UntrustedLocks,
            Self::Changed { .. } => ErrorCode::ChangedWhileRead,
            Self::Differs { .. } | Self::WrongSize { .. } => ErrorCode::DigestMismatch,
            Self::InTheWay { .. } => ErrorCode::ExportInTheWay,
            Self::InvalidExport { .. } => ErrorCode::InvalidExport,
            Self::NewerExport { .. } => ErrorCode::NewerRecord,
            Self::GivenUp => ErrorCode::Failed,
            Self::Core(error) => error.code(),
        }
    }
}

fn told(holders: &[LeaseHolder]) -> String {
    let named: Vec<_> = holders.iter().map(|holder| holder.owner.to_string()).collect();
    if named.is_empty() { "a process that left no name".to_owned() } else { named.join(", ") }
}

impl From<durable_fs::Error> for Error {
    fn from(error: durable_fs::Error) -> Self {
        match error {
            durable_fs::Error::Io(error) => Self::Io(error),
            durable_fs::Error::Busy { .. } => Self::Busy(error.to_string()),
            other => Self::NotOurs(other.to_string()),
        }
    }
}
