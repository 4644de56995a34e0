//! What to take away, and why.
//!
//! # Model
//! [`Plan::new`] is a pure function of what the store holds ([`StoreInventory`]) and of what is wanted ([`Terms`]). The unit is a
//! view: several ids may have one, and they go together. What a unit takes is in inodes: one for each inode, and one for
//! each folder. A inode that several units have goes with the last of them, and a inode that somebody else has a
//! link to frees nothing. So what a plan says that it frees is what the disk gets back.
//!
//! # Order
//! First what nobody needs any more: views whose removal was begun, unfinished files, orphan blobs. Then, where there is a
//! limit of size that is not kept, what is quarantined, then unfinished transfers, then retired models by their last use,
//! then active ones; ties by id. Without any grace, what is quarantined and unfinished transfers go in any case.
//!
//! # Never
//! What a live process has a lease on or is bringing, what was used or recorded within the grace time, and what is not
//! in the store. Nor is anything taken away when that would not make enough room: see [`Terms::needed_bytes`].

use std::{path::PathBuf, time::Duration};

use jiff::SignedDuration;
use provisioner_core::Timestamp;

pub use crate::leftover::{PARTIAL_LIMIT, QUARANTINE_LIMIT, UNFINISHED_LIMIT};
use crate::{
    LeaseHolder, LeftoverKind, ProcessIdentity,
    leftover::{Fate, Leftover},
};

/// How long a model is left alone after its last use, unless somebody says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(600);

/// Something that takes space on the disk: an inode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inode {
    /// The blocks that it has.
    pub bytes: u64,
    /// Whether all its links are in the store. Otherwise taking ours away frees nothing.
    pub is_ours: bool,
    /// Where it lies as a blob.
    pub blob: Option<PathBuf>,
}

/// A view, and the ids that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionUnit {
    /// The ids, sorted; at least one.
    pub ids: Vec<String>,
    /// The view's folder.
    pub root: PathBuf,
    /// Whether every id is retired.
    pub is_retired: bool,
    /// When one of the ids was last asked for.
    pub used_at: Option<Timestamp>,
    /// When the last of the ids was recorded.
    pub recorded_at: Option<Timestamp>,
    /// What forbids taking it away, whatever the limits.
    pub claim: Option<Claim>,
    /// Whether its removal was begun, by a process that did not come to the end of it.
    pub is_going: bool,
    /// What it takes, each once: places in [`StoreInventory::inodes`].
    pub inodes: Vec<usize>,
    /// Those of them that are the model's bytes.
    pub data: Vec<usize>,
}

/// What forbids taking a unit away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Live processes have a lease on it.
    Leased(Vec<LeaseHolder>),
    /// A live process is bringing it.
    Brought(Option<ProcessIdentity>),
    /// It has neither a seal nor the mark of a removal.
    Unsealed,
}

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreInventory {
    /// What takes space.
    pub inodes: Vec<Inode>,
    /// The views.
    pub units: Vec<EvictionUnit>,
    /// What nobody needs.
    pub leftovers: Vec<Leftover>,
    /// The ids of recorded models that are not in the store.
    pub local: Vec<String>,
    /// The ids of recorded models whose view is gone.
    pub missing: Vec<String>,
    /// What the transfers of live processes will still take.
    pub promised_bytes: u64,
    /// Pieces that a model which is being brought needs: they stay, whoever else goes.
    pub pinned: Vec<usize>,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The time.
    pub now: Timestamp,
    /// How much the store may take; `None` for as much as it does.
    pub max_size_bytes: Option<u64>,
    /// How much of that is to be free, for what is about to come. Where it cannot be, no model is taken away for it.
    pub needed_bytes: u64,
    /// How long a model is left alone after its last use.
    pub grace: Duration,
}

/// What would be taken away, and what would not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// On which terms it was made.
    pub terms: Terms,
    /// The models that go, in this order.
    pub evicted: Vec<Evicted>,
    /// The models that stay.
    pub kept: Vec<Kept>,
    /// What else goes.
    pub leftovers: Vec<Swept>,
    /// What else stays, and why; what each would free.
    pub kept_leftovers: Vec<Swept>,
    /// How much that frees.
    pub freed_bytes: u64,
    /// How much the store takes before it.
    pub size_bytes: u64,
    /// By how much the limit of size is missed all the same.
    pub over_bytes: u64,
}

/// A view that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evicted {
    /// The ids that have it, sorted.
    pub ids: Vec<String>,
    /// Its folder.
    pub root: PathBuf,
    /// How much that frees.
    pub bytes: u64,
    /// When one of the ids was last asked for. What was asked for again since then stays.
    pub used_at: Option<Timestamp>,
    /// Why, as a fragment.
    pub reason: String,
}

/// A model that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The model.
    pub id: String,
    /// Why, as a fragment.
    pub reason: String,
}

/// A leftover that goes, or that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Where it lies.
    pub path: PathBuf,
    /// The model that it is of, where it says so.
    pub id: Option<String>,
    /// What it is.
    pub kind: LeftoverKind,
    /// Whether a live process has it, or may be about to. Then it stays.
    pub is_held: bool,
    /// How much that frees.
    pub bytes: u64,
    /// Why, as a fragment.
    pub reason: String,
}

/// Who still has which inode.
#[derive(Clone, Debug)]
pub(crate) struct RefCounts {
    owners: Vec<usize>,
}

impl RefCounts {
    pub(crate) fn new(inventory: &StoreInventory) -> Self {
        let mut owners = vec![0; inventory.inodes.len()];
        let all = inventory.units.iter().map(|unit| &unit.inodes);
        let all = all.chain(inventory.leftovers.iter().map(|left| &left.inodes)).chain([&inventory.pinned]);
        all.flatten().for_each(|&inode| owners[inode] += 1);
        Self { owners }
    }

    /// Takes away one owner of each of these inodes, and returns those that have none any more.
    pub(crate) fn take<'a>(&mut self, inventory: &'a StoreInventory, inodes: &[usize]) -> Vec<&'a Inode> {
        let mut gone = Vec::new();
        for &inode in inodes {
            self.owners[inode] -= 1;
            if self.owners[inode] == 0 {
                gone.push(&inventory.inodes[inode]);
            }
        }
        gone
    }
}

/// What inodes free that nobody has any more.
pub(crate) fn freed(inodes: &[&Inode]) -> u64 {
    inodes.iter().filter(|inode| inode.is_ours).map(|inode| inode.bytes).sum()
}

impl StoreInventory {
    /// How much the store takes and will take. What others have a link to costs nothing.
    pub fn size_bytes(&self) -> u64 {
        freed(&self.inodes.iter().collect::<Vec<_>>()).saturating_add(self.promised_bytes)
    }

    /// The same, in which some unfinished transfers stay: whoever is about to fetch may go on with them.
    #[must_use]
    pub fn keeping(mut self, transfers: &[PathBuf]) -> Self {
        let wanted = self.leftovers.iter_mut().filter(|left| transfers.contains(&left.path));
        wanted.for_each(|left| left.is_held = true);
        self
    }
}

impl Plan {
    /// What to take away from an inventory on these terms.
    pub fn new(inventory: &StoreInventory, terms: &Terms) -> Self {
        let mut draft = Draft::new(inventory, terms);
        let mut spare = Vec::new();
        for leftover in &inventory.leftovers {
            match leftover.fate(terms) {
                Fate::Goes(reason) => draft.sweep(leftover, reason),
                Fate::Spare(reason) => spare.push((leftover, reason)),
                Fate::Stays(reason) => draft.keep_leftover(leftover, reason),
            }
        }
        spare.sort_by_key(|(leftover, _)| leftover.worth());
        let (mut order, mut kept) = (Vec::new(), Vec::new());
        for unit in &inventory.units {
            match unit.why_kept(inventory, terms) {
                Some(reason) => kept.push((unit, reason)),
                None => order.push(unit),
            }
        }
        order.sort_by_key(|unit| (!unit.is_going, !unit.is_retired, unit.last_touch(), &unit.ids));
        let (going, order) = order.split_at(order.partition_point(|unit| unit.is_going));
        for unit in going {
            draft.evict(unit);
        }
        let before = draft.clone();
        for (leftover, reason) in &spare {
            if draft.over_bytes() > 0 {
                draft.sweep(leftover, reason.clone());
            } else {
                draft.keep_leftover(leftover, format!("{reason}: kept for a week"));
            }
        }
        let is_enough =
            if terms.max_size_bytes.is_some() { "the limit is kept without it" } else { "no limit is set" };
        for unit in order {
            if draft.over_bytes() > 0 {
                draft.evict(unit);
            } else {
                kept.push((unit, is_enough.to_owned()));
            }
        }
        if terms.needed_bytes > 0 && draft.over_bytes() > 0 {
            // Nothing is lost for a model that does not come.
            draft = before;
            let reason = "what is about to come would not fit all the same";
            for (leftover, _) in &spare {
                draft.keep_leftover(leftover, reason.to_owned());
            }
            kept.extend(order.iter().map(|unit| (*unit, reason.to_owned())));
        }
        draft.finish(kept)
    }

    /// Whether nothing would be taken away.
    pub fn is_empty(&self) -> bool {
        self.evicted.is_empty() && self.leftovers.is_empty()
    }

    fn keep(&mut self, inventory: &StoreInventory, kept: Vec<(&EvictionUnit, String)>) {
        let because = |ids: &[String], reason: &str| {
            ids.iter().map(|id| (id.clone(), reason.to_owned())).collect::<Vec<_>>()
        };
        let local = because(&inventory.local, "yours: not in the store");
        let missing = because(
            &inventory.missing,
            "its files are gone: `ensure` brings them back, and `remove` gives them up",
        );
        let stored = kept.into_iter().flat_map(|(unit, reason)| because(&unit.ids, &reason));
        self.kept =
            local.into_iter().chain(missing).chain(stored).map(|(id, reason)| Kept { id, reason }).collect();
        self.kept.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

/// A plan that is being made.
#[derive(Clone)]
struct Draft<'a> {
    inventory: &'a StoreInventory,
    ref_counts: RefCounts,
    plan: Plan,
}

impl<'a> Draft<'a> {
    fn new(inventory: &'a StoreInventory, terms: &Terms) -> Self {
        let plan = Plan { terms: *terms, size_bytes: inventory.size_bytes(), ..Plan::default() };
        Self { inventory, ref_counts: RefCounts::new(inventory), plan }
    }

    /// By how much the limit of size is missed so far.
    fn over_bytes(&self) -> u64 {
        let Plan { terms, size_bytes, freed_bytes, .. } = &self.plan;
        let taken = (size_bytes - freed_bytes).saturating_add(terms.needed_bytes);
        terms.max_size_bytes.map_or(0, |limit| taken.saturating_sub(limit))
    }

    fn sweep(&mut self, leftover: &Leftover, reason: String) {
        let bytes = freed(&self.ref_counts.take(self.inventory, &leftover.inodes));
        self.plan.leftovers.push(Swept::new(leftover, bytes, reason));
        self.plan.freed_bytes += bytes;
    }

    fn keep_leftover(&mut self, leftover: &Leftover, reason: String) {
        let inodes: Vec<_> = leftover.inodes.iter().map(|&place| &self.inventory.inodes[place]).collect();
        self.plan.kept_leftovers.push(Swept::new(leftover, freed(&inodes), reason));
    }

    fn evict(&mut self, unit: &EvictionUnit) {
        let bytes = freed(&self.ref_counts.take(self.inventory, &unit.inodes));
        let (ids, root, reason) = (unit.ids.clone(), unit.root.clone(), unit.why_evicted());
        self.plan.evicted.push(Evicted { ids, root, bytes, used_at: unit.used_at, reason });
        self.plan.freed_bytes += bytes;
    }

    /// The plan, in which these units stay.
    fn finish(self, kept: Vec<(&EvictionUnit, String)>) -> Plan {
        let over_bytes = self.over_bytes();
        let mut plan = Plan { over_bytes, ..self.plan };
        plan.keep(self.inventory, kept);
        plan.kept_leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        plan
    }
}

impl Swept {
    fn new(leftover: &Leftover, bytes: u64, reason: String) -> Self {
        let Leftover { path, id, kind, is_held, .. } = leftover.clone();
        Self { path, id, kind, is_held, bytes, reason }
    }
}

impl EvictionUnit {
    /// A view that nobody knows anything of yet.
    pub(crate) fn of(root: &std::path::Path, name: String) -> Self {
        Self {
            ids: vec![name],
            root: root.to_owned(),
            is_retired: false,
            used_at: None,
            recorded_at: None,
            claim: None,
            is_going: false,
            inodes: Vec::new(),
            data: Vec::new(),
        }
    }

    /// The last sign that somebody wants it.
    pub fn last_touch(&self) -> Option<Timestamp> {
        self.used_at.max(self.recorded_at)
    }

    fn why_kept(&self, inventory: &StoreInventory, terms: &Terms) -> Option<String> {
        if let Some(claim) = &self.claim {
            return Some(claim.told());
        }
        if self.is_going {
            return None;
        }
        let since = self.last_touch().map(|at| terms.now.duration_since(at));
        // The clock of the file system may be ahead of ours.
        if let Some(since) = since
            && !terms.grace.is_zero()
            && since < signed(terms.grace)
        {
            let what = if self.used_at >= self.recorded_at { "used" } else { "recorded" };
            return Some(format!("{what} {}", ago(since)));
        }
        let is_worthless = !self.data.is_empty() && !self.data.iter().any(|&at| inventory.inodes[at].is_ours);
        is_worthless.then(|| "its bytes are in another store too: taking it away frees nothing".to_owned())
    }

    fn why_evicted(&self) -> String {
        let used = self.last_touch().map_or_else(|| "never".to_owned(), date);
        match (self.is_going, self.is_retired) {
            (true, _) => "its removal was begun".to_owned(),
            (false, true) => format!("retired, and least recently used: {used}"),
            (false, false) => format!("least recently used: {used}"),
        }
    }
}

impl Claim {
    fn told(&self) -> String {
        match self {
            Self::Leased(holders) if holders.is_empty() => "in use by a process that left no name".to_owned(),
            Self::Leased(holders) => {
                let names: Vec<_> = holders.iter().map(|holder| holder.owner.to_string()).collect();
                format!("in use by {}", names.join(", "))
            }
            Self::Brought(owner) => {
                let owner =
                    owner.as_ref().map_or_else(|| "another process".to_owned(), ProcessIdentity::to_string);
                format!("being made present by {owner}")
            }
            Self::Unsealed => "it has no seal; `doctor` says more".to_owned(),
        }
    }
}

pub(crate) fn signed(duration: Duration) -> SignedDuration {
    duration.try_into().unwrap_or(SignedDuration::MAX)
}

/// As `list` has it.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// How long ago, in the largest unit that fits.
fn ago(since: SignedDuration) -> String {
    let seconds = since.as_secs().max(0);
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
