//! What lies in the store and is no model: unfinished transfers, quarantined files, and the remains of what was cut off.

use std::{path::PathBuf, time::Duration};

use provisioner_core::{Timestamp, key_of};

use crate::{
    Result, Store,
    eviction::{Terms, date, signed},
    partial::discard,
    partial_meta::PartialMeta,
};

/// How old an unfinished transfer that nobody works on must be before it goes: a week's holiday.
pub const PARTIAL_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How old what was found to be wrong must be before it goes.
pub const QUARANTINE_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How old an unfinished file must be before it goes. Whoever writes one is done with it in moments.
pub const UNFINISHED_LIMIT: Duration = Duration::from_secs(600);

/// Something that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where it lies.
    pub path: PathBuf,
    /// The model that it is of, where it says so.
    pub id: Option<String>,
    /// What it is.
    pub kind: LeftoverKind,
    /// When it was last changed.
    pub changed_at: Option<Timestamp>,
    /// Whether a live process has it, or may be about to.
    pub is_held: bool,
    /// What it takes, each once: places in [`StoreInventory::inodes`](crate::StoreInventory::inodes).
    pub inodes: Vec<usize>,
}

/// What a leftover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftoverKind {
    /// Was being removed.
    Gone,
    /// Was being made, and never got its name.
    Unfinished,
    /// A blob that no view has.
    Blob,
    /// An unfinished transfer, which the next one would go on with.
    Partial,
    /// What was found to be wrong.
    Quarantined,
}

/// An unfinished transfer or a quarantined file, as a person is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftoverEntry {
    /// The model that it is of, where it says so.
    pub id: Option<String>,
    /// What it is.
    pub kind: LeftoverKind,
    /// Where it lies.
    pub path: PathBuf,
    /// How much its removal frees, in bytes.
    pub bytes: u64,
    /// When it was last changed.
    pub changed_at: Option<Timestamp>,
    /// Whether a live process works on it.
    pub is_held: bool,
}

/// What becomes of a leftover, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes.
    Goes(String),
    /// It goes where the limit of size is not kept otherwise.
    Spare(String),
    /// It stays.
    Stays(String),
}

impl LeftoverKind {
    /// The stable name, as documents have it.
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
    /// What becomes of it on these terms.
    pub(crate) fn fate(&self, terms: &Terms) -> Fate {
        let age = self.changed_at.map(|at| terms.now.duration_since(at));
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
        if terms.grace.is_zero() || is_older(limit) {
            Fate::Goes(reason)
        } else if is_older(terms.grace) {
            Fate::Spare(reason)
        } else {
            Fate::Stays(format!("{reason}: that is within the grace time"))
        }
    }

    /// The order in which leftovers go that are not needed: what is wrong first, then what is oldest.
    pub(crate) fn worth(&self) -> (bool, Option<Timestamp>) {
        (self.kind != LeftoverKind::Quarantined, self.changed_at)
    }
}

impl Store {
    /// Removes the unfinished transfers of a model, but for those that a live process works on, and returns what went.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn discard_transfers(&self, id: &str) -> Result<Vec<LeftoverEntry>> {
        let model = key_of(id);
        let is_of = |entry: &LeftoverEntry| {
            let by_key = || PartialMeta::read(&entry.path).is_some_and(|about| about.model == model);
            entry.kind == LeftoverKind::Partial && (entry.id.as_deref() == Some(id) || by_key())
        };
        let mut found = self.leftovers()?;
        found.retain(is_of);
        let trusts_locks = !found.is_empty() && self.trusts_locks();
        let mut gone = Vec::new();
        for entry in found {
            if self.own_again(&entry.path, trusts_locks).is_some() {
                discard(&entry.path)?;
                gone.push(entry);
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResumableTransfers, eviction::DEFAULT_GRACE};

    fn transfer(store: &Store, identity: &str, id: &str) -> PathBuf {
        let partial = store.partial(identity, 9000, id, &ResumableTransfers::default()).unwrap();
        fs_err::write(partial.file().data, [7; 9000]).unwrap();
        fs_err::write(partial.file().journal, "").unwrap();
        partial.folder().to_owned()
    }

    #[test]
    fn unfinished_transfers_say_whose_they_are_and_go_by_id() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let (mine, other) = (transfer(&store, "a", "hf:org/mine"), transfer(&store, "b", "hf:org/other"));
        let alive = store.partial("c", 10, "hf:org/mine", &ResumableTransfers::default()).unwrap();
        let listed = store.leftovers().unwrap();
        let of = |path: &PathBuf| listed.iter().find(|entry| entry.path == *path).unwrap();
        assert_eq!(
            (of(&mine).id.as_deref(), of(&other).id.as_deref()),
            (Some("hf:org/mine"), Some("hf:org/other"))
        );
        assert!(of(&mine).bytes >= 9000 && !of(&mine).is_held, "{listed:?}");
        assert!(of(&alive.folder().to_owned()).is_held);
        let gone = store.discard_transfers("hf:org/mine").unwrap();
        assert_eq!((gone.len(), &gone[0].path), (1, &mine));
        assert!(!mine.exists() && other.exists() && alive.folder().exists());
        assert_eq!(store.discard_transfers("hf:org/none").unwrap(), []);
    }

    #[test]
    fn a_transfer_of_an_older_release_is_found_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let folder = transfer(&store, "a", "hf:org/mine");
        PartialMeta { id: None, ..PartialMeta::read(&folder).unwrap() }.write(&folder).unwrap();
        assert_eq!(store.leftovers().unwrap()[0].id, None);
        assert_eq!(store.discard_transfers("hf:org/mine").unwrap().len(), 1);
    }

    #[test]
    fn what_becomes_of_a_leftover() {
        let check = |kind, age: i64, grace: Duration, expected: &str| {
            let now = Timestamp::from_second(10_000_000).unwrap();
            let changed_at = Some(Timestamp::from_second(10_000_000 - age).unwrap());
            let left =
                Leftover { path: PathBuf::new(), id: None, kind, changed_at, is_held: false, inodes: vec![] };
            let terms = Terms { now, grace, ..Terms::default() };
            let told = format!("{:?}", left.fate(&terms));
            assert!(told.starts_with(expected), "{kind:?} of {age} s: {told}");
            let held = Leftover { is_held: true, ..left };
            assert!(matches!(held.fate(&terms), Fate::Stays(_)), "{kind:?} is held");
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
