//! Says why a bundle cannot be written or read.

use std::{
    io,
    path::{Path, PathBuf},
};

use provisioner_core::{Digest, ErrorCode, RelativePath};

/// Is a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a process did not write a bundle, or refuses one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refuses a read or a write.
    #[error("cannot read or write the bundle")]
    Io(#[from] io::Error),
    /// A file that another user or program made lies in the place of a file of this process.
    #[error("{0}")]
    NotOurs(String),
    /// Another process wrote to a file while this one copied it.
    #[error("another process changed `{path}` while this one copied it")]
    Changed {
        /// The path of the file.
        path: PathBuf,
    },
    /// The bytes of a file do not have the digest that the record names, or the table and the record disagree.
    #[error("`{path}`: digest mismatch: expected {expected}, got {actual}")]
    Differs {
        /// The file's path in the model.
        path: RelativePath,
        /// The digest that the file should have.
        expected: Digest,
        /// The digest that the file has.
        actual: Digest,
    },
    /// A file has another size than its record says. No byte of it was read.
    #[error(
        "`{path}`: digest mismatch: expected {expected} of {expected_bytes} bytes, got {actual_bytes} bytes"
    )]
    WrongSize {
        /// The file's path in the model.
        path: RelativePath,
        /// The digest that the file should have.
        expected: Digest,
        /// The size that the file should have, in bytes.
        expected_bytes: u64,
        /// The size that the file has, in bytes.
        actual_bytes: u64,
    },
    /// This process cannot read a file of a bundle.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// Holds what the operating system said of the file.
        source: io::Error,
    },
    /// The disk refuses a file of the bundle: to read it in the model, or to write it into the folder.
    #[error("cannot put `{name}` into `{dir}`")]
    NotPut {
        /// The name of the file in the bundle.
        name: String,
        /// The folder of the bundle.
        dir: PathBuf,
        /// Holds what the operating system said of the file.
        source: io::Error,
    },
    /// Something else lies at the path of the bundle.
    #[error("`{path}` is no empty folder, or the model has a file that its own table needs")]
    InTheWay {
        /// The folder of the bundle.
        path: PathBuf,
    },
    /// The bundle is written, and a loss of power may undo it.
    #[error(
        "`{path}` is exported and whole, and a loss of power may undo it, for its name cannot be made durable"
    )]
    NotDurable {
        /// The folder of the bundle.
        path: PathBuf,
        /// Holds what the operating system said of the folder.
        source: io::Error,
    },
    /// A folder says that it is a bundle, and is malformed.
    #[error("`{path}` was not exported as it is: {reason}")]
    Invalid {
        /// The folder of the bundle.
        path: PathBuf,
        /// Says what is wrong, as a fragment.
        reason: String,
    },
    /// A newer release wrote the bundle.
    #[error(
        "`{path}` was exported by a newer release: it has schema {found}, and this release knows schema {supported}"
    )]
    Newer {
        /// The folder of the bundle.
        path: PathBuf,
        /// The schema of the bundle.
        found: u64,
        /// The newest schema that this release reads.
        supported: u64,
    },
    /// The caller's `watch` returned that the work must stop.
    #[error("the caller stopped waiting")]
    Cancelled,
}

impl Error {
    /// Returns the same error. Where the operating system refused, it names the file, and the folder of the bundle.
    pub(crate) fn of_file(self, name: &(impl ToString + ?Sized), dir: &Path) -> Self {
        match self {
            Self::Io(source) => Self::NotPut { name: name.to_string(), dir: dir.to_owned(), source },
            other => other,
        }
    }

    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io(source) | Self::NotPut { source, .. } | Self::NotDurable { source, .. } => {
                match ErrorCode::of_io(source) {
                    ErrorCode::NotFound => ErrorCode::StorageFailed,
                    code => code,
                }
            }
            Self::Unreadable { source, .. } => ErrorCode::of_io(source),
            Self::NotOurs(_) => ErrorCode::UnsafeCache,
            Self::Changed { .. } => ErrorCode::ChangedWhileRead,
            Self::Differs { .. } | Self::WrongSize { .. } => ErrorCode::DigestMismatch,
            Self::InTheWay { .. } => ErrorCode::ExportInTheWay,
            Self::Invalid { .. } => ErrorCode::InvalidExport,
            Self::Newer { .. } => ErrorCode::NewerRecord,
            Self::Cancelled => ErrorCode::Failed,
        }
    }
}

impl From<durable_fs::Error> for Error {
    fn from(error: durable_fs::Error) -> Self {
        match error {
            durable_fs::Error::Io(error) => Self::Io(error),
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
