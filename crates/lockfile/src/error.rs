//! Says why a text is not a lock file.

/// Is a result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says why a text is not a lock file that this release reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text has the markers of a merge that a person has not finished.
    #[error("line {line}: it has the marks of an unfinished merge")]
    Conflict {
        /// The line of the first mark, from 1.
        line: usize,
        /// The references that either side of the merge locks, in order and once each.
        references: Vec<String>,
    },
    /// A newer release wrote the text.
    #[error("its version is {found}, and this release reads version {known}")]
    Newer {
        /// The version of the text.
        found: i64,
        /// The version that this release reads.
        known: i64,
    },
    /// The text is longer than a lock file may be.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The largest length, in bytes.
        limit: usize,
    },
    /// The text has a mistake.
    #[error("{}{reason}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Invalid {
        /// The line of the mistake, from 1, where it is known.
        line: Option<usize>,
        /// The mistake, as a fragment.
        reason: String,
    },
}
