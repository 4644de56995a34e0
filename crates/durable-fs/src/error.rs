//! Says what failed, and at which path.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// Describes a failure, with the path.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; its message names the path.
    Io(io::Error),
    /// This process, or one of the same user, did not make what lies at the path.
    NotOurs {
        /// The path of the foreign file.
        path: PathBuf,
        /// Why this process does not use the file, as a fragment.
        reason: &'static str,
    },
    /// The file is longer than its reader accepts.
    TooLarge {
        /// The path of the long file.
        path: PathBuf,
        /// The limit of the reader, in bytes.
        limit_bytes: u64,
    },
    /// Another process holds the lock.
    Busy {
        /// The path of the locked file.
        path: PathBuf,
    },
}

/// Is a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotOurs { path, reason } => write!(f, "refusing to use `{}`: {reason}", path.display()),
            Self::TooLarge { path, limit_bytes } => {
                write!(f, "`{}` is larger than {limit_bytes} bytes", path.display())
            }
            Self::Busy { path } => write!(f, "`{}` is locked by another process", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // This error prints the text of its cause already.
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => Self::other(other.to_string()),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Describes a failure at a path, unless the path does not matter.
pub(crate) fn at(path: &Path, verb: &str, error: &io::Error) -> Error {
    // The path does not matter when too many files are open. That failure has no kind, only a number.
    if let Some(error) = Errno::from_io_error(error).filter(|&no| no == Errno::MFILE || no == Errno::NFILE) {
        return Error::Io(error.into());
    }
    Error::Io(io::Error::new(error.kind(), format!("failed to {verb} `{}`: {error}", path.display())))
}

/// Returns what the system said, without the name of a temporary file that no caller knows.
pub(crate) fn root_cause(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}
