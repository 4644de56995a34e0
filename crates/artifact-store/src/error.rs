//! Says why the store cannot keep or find bytes.

use std::{io, path::PathBuf};

use provisioner_core::{ErrorCode, readable_size};

use crate::locks::holder::LeaseHolder;

/// Is a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why the store cannot keep or find something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refuses a read or a write.
    #[error("the store failed")]
    Io(#[from] io::Error),
    /// The disk has too little space for the files that are to come.
    #[error(
        "not enough space in `{path}`: {} are needed, and {} are free",
        readable_size(*.needed_bytes),
        readable_size(*.free_bytes)
    )]
    NoSpace {
        /// The folder of the store.
        path: PathBuf,
        /// How many bytes are needed.
        needed_bytes: u64,
        /// How many bytes are free, without those that other transfers will take.
        free_bytes: u64,
    },
    /// The limit of size leaves too little room, whatever an eviction removes.
    #[error(
        "no room in `{path}`, which may take {limit_bytes} bytes: {needed_bytes} bytes are needed, and it would \
         be {over_bytes} bytes over its limit with all evicted that may be"
    )]
    NoRoom {
        /// The folder of the store.
        path: PathBuf,
        /// How many bytes the store may take.
        limit_bytes: u64,
        /// How many bytes are needed.
        needed_bytes: u64,
        /// By how many bytes the store would exceed the limit.
        over_bytes: u64,
    },
    /// A file that another user or program made lies in the place of a file of the store.
    #[error("{0}")]
    NotOurs(String),
    /// Another process holds the lock.
    #[error("{0}")]
    Busy(String),
    /// Live processes have a lease on the model.
    #[error("`{id}` is in use by {}", named(.holders))]
    Leased {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The processes that have a lease, as far as they left a note.
        holders: Vec<LeaseHolder>,
    },
    /// Locks cannot be trusted on this file system, so no process can tell what is in use.
    #[error("cannot remove anything from `{path}`: {reason}, so no process can tell what is in use")]
    UntrustedLocks {
        /// The folder of the store.
        path: PathBuf,
        /// Why locks cannot be trusted, as a fragment.
        reason: String,
    },
    /// Another process wrote to a file while this one adopted or committed it.
    #[error("another process changed `{path}` while this one read it")]
    Changed {
        /// The path of the file.
        path: PathBuf,
    },
    /// The caller's `watch` returned that the work must stop.
    #[error("the caller stopped waiting")]
    Cancelled,
    /// Another process evicted a blob that this commit had found. The caller stages the model again.
    #[error("another process removed `{path}` before the model was committed")]
    Vanished {
        /// The path of the blob.
        path: PathBuf,
    },
    /// A path of a model cannot be a path of a view.
    #[error(transparent)]
    Core(#[from] provisioner_core::Error),
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io(source) => match ErrorCode::of_io(source) {
                ErrorCode::NotFound => ErrorCode::StorageFailed,
                code => code,
            },
            Self::NoSpace { .. } | Self::NoRoom { .. } => ErrorCode::NoSpace,
            Self::NotOurs(_) => ErrorCode::UnsafeCache,
            Self::Busy(_) | Self::Vanished { .. } => ErrorCode::Busy,
            Self::Leased { .. } => ErrorCode::InUse,
            Self::UntrustedLocks { .. } => ErrorCode::UntrustedLocks,
            Self::Changed { .. } => ErrorCode::ChangedWhileRead,
            Self::Cancelled => ErrorCode::Failed,
            Self::Core(error) => error.code(),
        }
    }
}

/// Names the processes that have a lease, as a message shows them.
fn named(holders: &[LeaseHolder]) -> String {
    let named: Vec<_> = holders.iter().map(|holder| holder.process.to_string()).collect();
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

impl From<file_hashing::Error> for Error {
    fn from(error: file_hashing::Error) -> Self {
        match error {
            file_hashing::Error::Io(error) => Self::Io(error),
            _ => Self::Cancelled,
        }
    }
}
