//! Looks for lines that documents name.

use std::{collections::BTreeMap, fmt};

use provenance_log::Position;

/// Says how a line that a document names is not in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PositionFault {
    /// The log ends before the line: its tail was cut.
    Cut {
        /// The line that the document names.
        named: Position,
        /// The last line of the log; `None` for a log without lines.
        head: Option<Position>,
    },
    /// The log has another line with that number: it was written anew.
    Rewritten {
        /// The line that the document names.
        named: Position,
    },
}

impl fmt::Display for PositionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { named, head: Some(head) } => {
                write!(
                    f,
                    "the log had a line {}, and ends with line {}: its tail was cut",
                    named.seq, head.seq
                )
            }
            Self::Cut { named, head: None } => {
                write!(f, "the log had a line {}, and has none: it was removed", named.seq)
            }
            Self::Rewritten { named } => {
                write!(f, "line {} of the log is another one now: the log was written anew", named.seq)
            }
        }
    }
}

/// Collects which of the lines that documents name are in the log.
#[derive(Default)]
pub(super) struct Wanted(BTreeMap<Position, bool>);

impl Wanted {
    pub(super) fn of(positions: impl Iterator<Item = Position>) -> Self {
        Self(positions.map(|position| (position, false)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn knows(&self, position: Position) -> bool {
        self.0.contains_key(&position)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn see(&mut self, position: Position) {
        if let Some(is_there) = self.0.get_mut(&position) {
            *is_there = true;
        }
    }

    /// Returns how a line is not in the log; `None` where it is.
    pub(super) fn fault(&self, named: Position, head: Option<Position>) -> Option<PositionFault> {
        if self.0.get(&named).copied().unwrap_or_default() {
            return None;
        }
        Some(match head {
            Some(head) if named.seq <= head.seq => PositionFault::Rewritten { named },
            head => PositionFault::Cut { named, head },
        })
    }
}
