//! Says why the log cannot be read or written.

use std::{io, path::PathBuf};

/// Is a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why this process did not read or append a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refuses a read or a write, another process holds the lock, or another user made the file.
    #[error(transparent)]
    File(#[from] durable_fs::Error),
    /// A newer release wrote the last line.
    #[error("`{path}` has lines of version {found}, and this release knows version {known}")]
    Newer {
        /// The path of the file.
        path: PathBuf,
        /// The version of the line.
        found: u64,
        /// The newest version that this release reads.
        known: u64,
    },
    /// The line would be longer than any that a reader takes.
    #[error("a line of {bytes} bytes is longer than the log takes")]
    TooLong {
        /// The length of the line, in bytes.
        bytes: u64,
    },
    /// The log has used up its numbers.
    #[error("`{path}` has used up its numbers")]
    Full {
        /// The path of the file.
        path: PathBuf,
    },
    /// The caller stopped the work.
    #[error("the caller stopped reading")]
    Stopped,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::File(error.into())
    }
}
