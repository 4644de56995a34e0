//! Describes leftovers: unfinished transfers, quarantined files, and the remains of work that a process did not finish.

use std::{path::PathBuf, time::Duration};

use provisioner_core::Timestamp;

use crate::gc::limits::{EvictionRequest, date, signed};

/// The age at which an unfinished transfer goes that no live process works on. A person may be on holiday for a week.
pub const PARTIAL_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The age at which a quarantined file goes.
pub const QUARANTINE_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The age at which an unfinished file goes. A live writer needs moments.
pub const UNFINISHED_LIMIT: Duration = Duration::from_secs(600);

/// Describes a file or a folder of the store that is a part of no model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The path of the leftover.
    pub path: PathBuf,
    /// The id of the model that left it, where it says so.
    pub id: Option<String>,
    /// The kind of the leftover.
    pub kind: LeftoverKind,
    /// When a process last changed it.
    pub changed_at: Option<Timestamp>,
    /// Says whether a live process works on it, or may be about to.
    pub is_held: bool,
    /// The inodes that it takes, each once: indices of [`StoreInventory::inodes`](crate::StoreInventory::inodes).
    pub inodes: Vec<u32>,
}

/// Says what a leftover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftoverKind {
    /// A process was removing it.
    Gone,
    /// A process was making it, and never gave it its name.
    Unfinished,
    /// It is a blob that no view has.
    Blob,
    /// It is an unfinished transfer, which the next one resumes.
    Partial,
    /// It is a file or a folder with wrong contents.
    Quarantined,
}

/// Describes an unfinished transfer or a quarantined file, as a person reads of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftoverEntry {
    /// The id of the model that left it, where it says so.
    pub id: Option<String>,
    /// The kind of the leftover.
    pub kind: LeftoverKind,
    /// The path of the leftover.
    pub path: PathBuf,
    /// How many bytes its removal frees.
    pub bytes: u64,
    /// When a process last changed it.
    pub changed_at: Option<Timestamp>,
    /// Says whether a live process works on it.
    pub is_held: bool,
}

/// Says what an eviction does with a leftover, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The eviction removes it.
    Goes(String),
    /// The eviction removes it where the store would exceed the limit otherwise.
    Spare(String),
    /// The eviction leaves it.
    Stays(String),
}

impl LeftoverKind {
    /// Returns the stable name, which documents use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "removal",
            Self::Unfinished => "unfinished",
            Self::Blob => "blob",
            Self::Partial => "transfer",
            Self::Quarantined => "quarantined",
        }
    }
}

impl Leftover {
    /// Returns what an eviction does with the leftover.
    pub(crate) fn fate(&self, request: &EvictionRequest) -> Fate {
        let age = self.changed_at.map(|at| request.now.duration_since(at));
        let is_older = |limit: Duration| age.is_some_and(|age| age >= signed(limit));
        let since = self.changed_at.map_or_else(|| "an unknown time".to_owned(), date);
        let (limit, reason) = match self.kind {
            LeftoverKind::Blob if self.is_held => {
                return Fate::Stays("a model that is being made present may need it".to_owned());
            }
            _ if self.is_held => return Fate::Stays("a live process works on it".to_owned()),
            LeftoverKind::Gone => return Fate::Goes("its removal was begun".to_owned()),
            LeftoverKind::Blob => return Fate::Goes("no model has it".to_owned()),
            LeftoverKind::Unfinished if is_older(UNFINISHED_LIMIT) => {
                return Fate::Goes("it was never finished".to_owned());
            }
            LeftoverKind::Unfinished => return Fate::Stays("a process may be writing it".to_owned()),
            LeftoverKind::Partial => (PARTIAL_LIMIT, format!("an unfinished transfer, last written {since}")),
            LeftoverKind::Quarantined => {
                (QUARANTINE_LIMIT, format!("found to be wrong, quarantined {since}"))
            }
        };
        if request.limits.grace.is_zero() || is_older(limit) {
            Fate::Goes(reason)
        } else if is_older(request.limits.grace) {
            Fate::Spare(reason)
        } else {
            Fate::Stays(format!("{reason}: that is within the grace time"))
        }
    }

    /// Returns the rank of a leftover that may go: wrong files go first, then the oldest.
    pub(crate) fn rank(&self) -> (bool, Option<Timestamp>) {
        (self.kind != LeftoverKind::Quarantined, self.changed_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gc::limits::{DEFAULT_GRACE, EvictionLimits};

    #[test]
    fn what_becomes_of_a_leftover() {
        let check = |kind, age: i64, grace: Duration, expected: &str| {
            let now = Timestamp::from_second(10_000_000).unwrap();
            let changed_at = Some(Timestamp::from_second(10_000_000 - age).unwrap());
            let left =
                Leftover { path: PathBuf::new(), id: None, kind, changed_at, is_held: false, inodes: vec![] };
            let limits = EvictionLimits { max_size_bytes: None, grace };
            let request = EvictionRequest { limits, now, needed_bytes: 0 };
            let told = format!("{:?}", left.fate(&request));
            assert!(told.starts_with(expected), "{kind:?} of {age} s: {told}");
            let held = Leftover { is_held: true, ..left };
            assert!(matches!(held.fate(&request), Fate::Stays(_)), "{kind:?} is held");
        };
        for kind in [LeftoverKind::Partial, LeftoverKind::Quarantined] {
            check(kind, 8 * 86400, DEFAULT_GRACE, "Goes");
            check(kind, 3600, DEFAULT_GRACE, "Spare");
            check(kind, 60, DEFAULT_GRACE, "Stays");
            check(kind, 0, Duration::ZERO, "Goes");
            check(kind, -60, Duration::ZERO, "Goes");
        }
        check(LeftoverKind::Unfinished, 0, Duration::ZERO, "Stays");
        check(LeftoverKind::Unfinished, 601, DEFAULT_GRACE, "Goes");
    }
}
