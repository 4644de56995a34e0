//! What can go wrong with bytes at rest.

use std::{io, path::PathBuf};

use provisioner_core::{ErrorCode, readable_size};

use crate::locks::holder::LeaseHolder;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why the store cannot keep or find something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed.
    #[error("the store failed")]
    Io(#[from] io::Error),
    /// The disk has too little space for the files that are to come.
    #[error(
        "not enough space in `{path}`: {} are needed, and {} are free",
        readable_size(*.needed_bytes),
        readable_size(*.free_bytes)
    )]
    NoSpace {
        /// The store.
        path: PathBuf,
        /// How many bytes are needed.
        needed_bytes: u64,
        /// How many bytes are free, without those that other transfers will take.
        free_bytes: u64,
    },
    /// The limit of size leaves too little room, whatever is evicted.
    #[error(
        "no room in `{path}`, which may take {limit_bytes} bytes: {needed_bytes} bytes are needed, and it would \
         be {over_bytes} bytes over its limit with all evicted that may be"
    )]
    NoRoom {
        /// The store.
        path: PathBuf,
        /// How many bytes the store may take.
        limit_bytes: u64,
        /// How many bytes are needed.
        needed_bytes: u64,
        /// By how many bytes the limit would be missed.
        over_bytes: u64,
    },
    /// A file that another user or program made lies where a file of the store should be.
    #[error("{0}")]
    NotOurs(String),
    /// Another process holds the lock.
    #[error("{0}")]
    Busy(String),
    /// Live processes have a lease on the model.
    #[error("`{id}` is in use by {}", named(.holders))]
    Leased {
        /// The model.
        id: String,
        /// The processes that have one, as far as they say.
        holders: Vec<LeaseHolder>,
    },
    /// Locks are not to be trusted here, so no process can tell what is in use.
    #[error("nothing is taken away from `{path}`: {reason}, so nobody can tell what is in use")]
    UntrustedLocks {
        /// The store.
        path: PathBuf,
        /// Why they are not.
        reason: String,
    },
    /// Another process wrote to a file that was being taken in.
    #[error("`{path}` changed while it was being taken in")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The caller's watch said to stop.
    #[error("nobody waits for it any more")]
    Cancelled,
    /// Another process evicted a blob that this commit had found. Staging the model again helps.
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

/// Names the processes that have a lease.
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
