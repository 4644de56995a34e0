//! What can go wrong with bytes at rest.

use std::{io, path::PathBuf};

use provisioner_core::{ErrorCode, readable_size};

use crate::Holder;

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
        holders: Vec<Holder>,
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
    /// Nobody waits for the outcome any more.
    #[error("nobody waits for it any more")]
    GivenUp,
    /// A path of a model is not one that a view can have.
    #[error(transparent)]
    Core(#[from] provisioner_core::Error),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io(error) => match ErrorCode::of_io(error) {
                ErrorCode::NotFound => ErrorCode::StorageFailed,
                code => code,
            },
            Self::NoSpace { .. } => ErrorCode::NoSpace,
            Self::NotOurs(_) => ErrorCode::UnsafeCache,
            Self::Busy(_) | Self::Leased { .. } => ErrorCode::Busy,
            Self::Doubtful { .. } => ErrorCode::UntrustedLocks,
            Self::Changed { .. } => ErrorCode::ChangedWhileRead,
            Self::GivenUp => ErrorCode::Failed,
            Self::Core(error) => error.code(),
        }
    }
}

fn told(holders: &[Holder]) -> String {
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
