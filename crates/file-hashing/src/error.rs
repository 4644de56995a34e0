//! Says why a process did not read a file to its end.

use std::io;

/// Is a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a process did not read a file to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refuses to open or read the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The caller's `watch` returned that the work must stop.
    #[error("the caller stopped waiting")]
    Cancelled,
    /// A thread that read some of several files panicked.
    #[error("a thread that read files ended early")]
    Ended,
}
