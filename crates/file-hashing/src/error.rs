//! Why a file was not read to its end.

use std::io;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The caller's watch said to stop.
    #[error("nobody waits for it any more")]
    Cancelled,
}
