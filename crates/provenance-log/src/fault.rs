//! Says which line of a log is wrong, and how.

use std::{fmt, path::PathBuf};

/// Says how a line is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The bytes of the line are not those that its writer wrote.
    Changed,
    /// Lines before this one are gone.
    Missing,
    /// The line is in the log a second time.
    Repeated,
    /// The line is not in its place.
    OutOfOrder,
    /// The bytes are not a line of the log, and no later line says that they were there.
    Foreign,
    /// Two lines name the same line before them, as where locks do not exclude other processes.
    Fork,
    /// A newer release wrote the line.
    Newer,
}

impl FaultKind {
    /// Returns its name in documents, such as `out-of-order`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::OutOfOrder => "out-of-order",
            Self::Foreign => "foreign",
            Self::Fork => "fork",
            Self::Newer => "newer",
        }
    }
}

/// Names the first line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How the line is wrong.
    pub kind: FaultKind,
    /// The file that has the line.
    pub file: PathBuf,
    /// The number of the line in that file, from 1 on.
    pub line: u64,
    /// Says what is wrong, for a person, as a fragment whose subject is the line.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` line {}: {}", self.file.display(), self.line, self.what)
    }
}
