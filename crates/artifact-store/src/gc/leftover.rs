//! Leftovers: unfinished transfers, quarantined files, and the remains of work that was cut off.

use std::{path::PathBuf, time::Duration};

use provisioner_core::Timestamp;

use crate::gc::limits::{EvictionRequest, date, signed};

/// How old an unfinished transfer must be, which no live process works on, before it goes: a week's holiday.
pub const PARTIAL_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How old a quarantined file must be before it goes.
pub const QUARANTINE_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How old an unfinished file must be before it goes. A live writer needs moments.
pub const UNFINISHED_LIMIT: Duration = Duration::from_secs(600);

/// A file or a folder of the store that is a part of no model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its path.
    pub path: PathBuf,
    /// The model that it is of, where it says so.
    pub id: Option<String>,
    /// What it is.
    pub kind: LeftoverKind,
    /// When it was last changed.
    pub changed_at: Option<Timestamp>,
    /// Whether a live process works on it, or may be about to.
    pub is_held: bool,
    /// What it takes, each once: indices of [`StoreInventory::inodes`](crate::StoreInventory::inodes).
    pub inodes: Vec<usize>,
}

/// Says what a leftover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftoverKind {
    /// A process was removing it.
    Gone,
    /// A process was making it, and it never got its name.
    Unfinished,
    /// A blob that no view has.
    Blob,
    /// An unfinished transfer, which the next one goes on with.
    Partial,
    /// A file or a folder whose contents are wrong.
    Quarantined,
}

/// An unfinished transfer or a quarantined file, as a person reads of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftoverEntry {
    /// The model that it is of, where it says so.
    pub id: Option<String>,
    /// What it is.
    pub kind: LeftoverKind,
    /// Its path.
    pub path: PathBuf,
    /// How much its removal frees, in bytes.
    pub bytes: u64,
    /// When it was last changed.
    pub changed_at: Option<Timestamp>,
    /// Whether a live process works on it.
    pub is_held: bool,
}

/// Says what becomes of a leftover, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes.
    Goes(String),
    /// It goes where the limit of size cannot be kept otherwise.
    Spare(String),
    /// It stays.
    Stays(String),
}

impl LeftoverKind {
    /// Returns the stable name, as documents have it.
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
    /// Returns what becomes of it.
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
