//! The errors of reading a model's files.

use std::io;

use provisioner_core::{ErrorCode, Hint};

/// Is a result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says why a model cannot be read, or must not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("{}cannot be read", at(file.as_deref()))]
    Io {
        /// The file, where its name is known.
        file: Option<String>,
        /// The error of the operating system or of the source.
        source: io::Error,
    },
    /// The format is known, but this release does not read its version.
    #[error("{}{reason}", at(file.as_deref()))]
    Unsupported {
        /// The file, where its name is known.
        file: Option<String>,
        /// The version, and the versions that this release reads.
        reason: String,
    },
    /// The bytes contradict their format, or themselves.
    #[error("{}{reason}{}", at(file.as_deref()), offset.map(|offset| format!(" (at byte {offset})")).unwrap_or_default())]
    Unsound {
        /// The file, where its name is known.
        file: Option<String>,
        /// The offset in the file, in bytes.
        offset: Option<u64>,
        /// Says what the format wants, and what is there.
        reason: String,
    },
    /// A pointer of Git LFS lies in the place of a file that engines read.
    #[error("{}is the pointer of Git LFS to a file, and not the file", at(file.as_deref()))]
    Pointer {
        /// The file, where its name is known.
        file: Option<String>,
    },
    /// An index and the files beside it are not of one model.
    #[error("{}{reason}", at(file.as_deref()))]
    Index {
        /// The index, where its name is known.
        file: Option<String>,
        /// Says what the index names, and what is there.
        reason: String,
    },
    /// A file of the model is missing.
    #[error("{}{reason}", at(file.as_deref()))]
    Incomplete {
        /// The file that names it, where a file does.
        file: Option<String>,
        /// The name of what is missing.
        reason: String,
    },
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { source, .. } => ErrorCode::of_io(source),
            Self::Unsupported { .. } | Self::Unsound { .. } | Self::Pointer { .. } | Self::Index { .. } => {
                ErrorCode::Rejected
            }
            Self::Incomplete { .. } => ErrorCode::MissingShard,
        }
    }

    /// Returns the next step, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Pointer { .. } => {
                Some("where it is of a clone, `git lfs pull` in the clone fetches the file".into())
            }
            _ => None,
        }
    }

    /// Names the file that the error is about, where it names none.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        let (Self::Io { file, .. }
        | Self::Unsupported { file, .. }
        | Self::Unsound { file, .. }
        | Self::Pointer { file }
        | Self::Index { file, .. }
        | Self::Incomplete { file, .. }) = &mut self;
        file.get_or_insert_with(|| name.to_owned());
        self
    }

    pub(crate) fn unsound(reason: impl Into<String>) -> Self {
        Self::Unsound { file: None, offset: None, reason: reason.into() }
    }

    pub(crate) fn unsound_at(offset: u64, reason: impl Into<String>) -> Self {
        Self::Unsound { file: None, offset: Some(offset), reason: reason.into() }
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Io { file: None, source }
    }
}

fn at(file: Option<&str>) -> String {
    file.map(|file| format!("`{}`: ", file.escape_debug())).unwrap_or_default()
}

/// Writes a name out of a file for a message: escaped, and cut where it is long.
pub(crate) fn quoted(name: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    match name.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("`{}…`", name.split_at(end).0.escape_debug()),
        None => format!("`{}`", name.escape_debug()),
    }
}
