//! Plans what to evict, and says why.
//!
//! # Model
//! [`StoreInventory::plan_eviction`] is a pure function of what the store holds ([`StoreInventory`]) and of what the caller asks for
//! ([`EvictionRequest`]). The ids that share a view go together. What a view takes is counted in inodes, its folders
//! included. An inode that several views have goes with the last of them, and an inode that another tool has a link to frees
//! nothing. So the disk gets back exactly what a plan says.
//!
//! # Order
//! First come the leftovers that no process needs: views whose removal has begun, unfinished files, orphan blobs. Where the
//! store is still over the limit, quarantined files follow, then unfinished transfers, then retired models by their last
//! use, then active ones; ties by id. Without any grace, quarantined files and unfinished transfers go in any case.
//!
//! # Never
//! A plan never takes a model on which a live process has a lease, or that a live process makes present; a model that a
//! caller used or recorded within the grace time; or a model that is not in the store. No model goes when that would not
//! make enough room: see [`EvictionRequest::needed_bytes`].

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use provisioner_core::Timestamp;

use crate::gc::{
    inventory::{EvictionUnit, RefCounts, StoreInventory},
    leftover::{Fate, Leftover, LeftoverKind},
    limits::{EvictionRequest, ago, date, signed},
};

/// The reason for which a model stays that a plan was about to evict.
pub const USED_SINCE: &str = "it was used after it was looked at";

/// Says what goes, and what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvictionPlan {
    /// The request that the plan answers.
    pub request: EvictionRequest,
    /// The models that go, in this order.
    pub evicted: Vec<Evicted>,
    /// The models that stay.
    pub kept: Vec<Kept>,
    /// The leftovers that go.
    pub leftovers: Vec<Swept>,
    /// The leftovers that stay, with the reason and the bytes that each would free.
    pub kept_leftovers: Vec<Swept>,
    /// How many bytes the plan frees.
    pub freed_bytes: u64,
    /// How many bytes the store takes before the plan is carried out.
    pub size_bytes: u64,
    /// By how many bytes the store exceeds the limit after the plan.
    pub over_bytes: u64,
}

/// Describes a view that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evicted {
    /// The ids that share the view, sorted.
    pub ids: Vec<Arc<str>>,
    /// The folder of the view.
    pub root: PathBuf,
    /// How many bytes its removal frees.
    pub bytes: u64,
    /// When a caller last asked for one of the ids. A view that a caller asks for again after that stays.
    pub used_at: Option<Timestamp>,
    /// Why the view goes, as a fragment.
    pub reason: String,
}

/// Describes a model that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The id of the model: the canonical text of its reference.
    pub id: Arc<str>,
    /// Why the model stays, as a fragment.
    pub reason: Cow<'static, str>,
}

/// Describes a leftover that goes, or that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// The path of the leftover.
    pub path: PathBuf,
    /// The id of the model that left it, where it says so.
    pub id: Option<String>,
    /// The kind of the leftover.
    pub kind: LeftoverKind,
    /// Says whether a live process works on the leftover, or may be about to. Then the leftover stays.
    pub is_held: bool,
    /// How many bytes its removal frees.
    pub bytes: u64,
    /// Why the leftover goes or stays, as a fragment.
    pub reason: String,
}

impl StoreInventory {
    /// Plans what goes, by what the store holds and what the caller asks for. The plan is a pure function of the two.
    pub fn plan_eviction(&self, request: &EvictionRequest) -> EvictionPlan {
        let mut draft = Draft::new(self, request);
        let mut spare = Vec::new();
        for leftover in &self.leftovers {
            match leftover.fate(request) {
                Fate::Goes(reason) => draft.sweep(leftover, reason),
                Fate::Spare(reason) => spare.push((leftover, reason)),
                Fate::Stays(reason) => draft.keep_leftover(leftover, reason),
            }
        }
        spare.sort_by_key(|(leftover, _)| leftover.rank());
        draft.keep(&self.local, "yours: not in the store");
        draft
            .keep(&self.missing, "its files are gone: `ensure` brings them back, and `remove` gives them up");
        let mut order = Vec::new();
        for view in &self.views {
            match why_kept(view, self, request) {
                Some(reason) => draft.keep(&view.ids, reason),
                None => order.push(view),
            }
        }
        order.sort_by_key(|view| (!view.is_going, !view.is_retired, view.last_touch(), &view.ids));
        let (going, order) = order.split_at(order.partition_point(|view| view.is_going));
        for view in going {
            draft.evict(view);
        }
        // No model goes for another one that does not come.
        let without_models = (request.needed_bytes > 0).then(|| draft.clone());
        for (leftover, reason) in &spare {
            if draft.over_bytes() > 0 {
                draft.sweep(leftover, reason.clone());
            } else {
                draft.keep_leftover(leftover, format!("{reason}: kept for a week"));
            }
        }
        let is_enough = if request.limits.max_size_bytes.is_some() {
            "the limit is kept without it"
        } else {
            "no limit is set"
        };
        for view in order {
            if draft.over_bytes() > 0 {
                draft.evict(view);
            } else {
                draft.keep(&view.ids, is_enough);
            }
        }
        if let Some(without_models) = without_models
            && draft.over_bytes() > 0
        {
            draft = without_models;
            let reason = "what is about to come would not fit all the same";
            for (leftover, _) in &spare {
                draft.keep_leftover(leftover, reason.to_owned());
            }
            for view in order {
                draft.keep(&view.ids, reason);
            }
        }
        draft.finish()
    }
}

impl EvictionPlan {
    /// Returns whether nothing goes.
    pub fn is_empty(&self) -> bool {
        self.evicted.is_empty() && self.leftovers.is_empty()
    }

    /// Returns what a later plan may still carry out of this one: no view that a caller used since, and nothing that this
    /// plan does not name.
    #[must_use]
    pub fn still(&self, later: Self) -> Self {
        let mut left = Self { evicted: Vec::new(), ..later.clone() };
        for evicted in later.evicted {
            let named =
                self.evicted.iter().find(|one| (&one.root, &one.ids) == (&evicted.root, &evicted.ids));
            match named {
                None => left.spare(evicted.ids, "it was not among what was to go"),
                Some(before) if before.used_at != evicted.used_at => left.spare(evicted.ids, USED_SINCE),
                Some(_) => left.evicted.push(evicted),
            }
        }
        let named: Vec<&PathBuf> = self.leftovers.iter().map(|swept| &swept.path).collect();
        left.leftovers.retain(|swept| named.contains(&&swept.path));
        left
    }

    /// Adds models to those that stay.
    pub fn spare(&mut self, ids: Vec<Arc<str>>, reason: impl Into<Cow<'static, str>>) {
        let reason = reason.into();
        self.kept.extend(ids.into_iter().map(|id| Kept { id, reason: reason.clone() }));
        self.kept.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

/// Holds a plan in the making.
#[derive(Clone)]
struct Draft<'a> {
    inventory: &'a StoreInventory,
    ref_counts: RefCounts,
    plan: EvictionPlan,
}

impl<'a> Draft<'a> {
    fn new(inventory: &'a StoreInventory, request: &EvictionRequest) -> Self {
        let plan =
            EvictionPlan { request: *request, size_bytes: inventory.size_bytes(), ..EvictionPlan::default() };
        Self { inventory, ref_counts: RefCounts::new(inventory), plan }
    }

    /// Returns by how many bytes the store exceeds the limit so far.
    fn over_bytes(&self) -> u64 {
        let EvictionPlan { request, size_bytes, freed_bytes, .. } = &self.plan;
        let taken = (size_bytes - freed_bytes).saturating_add(request.needed_bytes);
        request.limits.max_size_bytes.map_or(0, |limit| taken.saturating_sub(limit))
    }

    fn sweep(&mut self, leftover: &Leftover, reason: String) {
        let bytes = self.inventory.freed_bytes(&self.ref_counts.take(&leftover.inodes));
        self.plan.leftovers.push(Swept::new(leftover, bytes, reason));
        self.plan.freed_bytes += bytes;
    }

    fn keep_leftover(&mut self, leftover: &Leftover, reason: String) {
        let bytes = self.inventory.freed_bytes(&leftover.inodes);
        self.plan.kept_leftovers.push(Swept::new(leftover, bytes, reason));
    }

    fn evict(&mut self, view: &EvictionUnit) {
        let bytes = self.inventory.freed_bytes(&self.ref_counts.take(&view.inodes));
        let (ids, root, reason) = (view.ids.clone(), self.inventory.root_of(view), why_evicted(view));
        self.plan.evicted.push(Evicted { ids, root, bytes, used_at: view.used_at, reason });
        self.plan.freed_bytes += bytes;
    }

    fn keep(&mut self, ids: &[Arc<str>], reason: impl Into<Cow<'static, str>>) {
        let reason = reason.into();
        let kept = ids.iter().map(|id| Kept { id: Arc::clone(id), reason: reason.clone() });
        self.plan.kept.extend(kept);
    }

    fn finish(self) -> EvictionPlan {
        let over_bytes = self.over_bytes();
        let mut plan = EvictionPlan { over_bytes, ..self.plan };
        plan.kept.sort_by(|a, b| a.id.cmp(&b.id));
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

/// Says why a view stays. Returns `None` for a view that may go.
fn why_kept(
    view: &EvictionUnit,
    inventory: &StoreInventory,
    request: &EvictionRequest,
) -> Option<Cow<'static, str>> {
    if let Some(claim) = &view.claim {
        return Some(claim.reason().into());
    }
    if view.is_going {
        return None;
    }
    let since = view.last_touch().map(|at| request.now.duration_since(at));
    // The clock of the file system may be ahead of this machine's.
    if let Some(since) = since
        && !request.limits.grace.is_zero()
        && since < signed(request.limits.grace)
    {
        let what = if view.used_at >= view.recorded_at { "used" } else { "recorded" };
        return Some(format!("{what} {}", ago(since)).into());
    }
    let (data, is_ours) = (view.data(), |&index: &u32| inventory.inodes[index as usize].is_ours);
    let is_elsewhere = !data.is_empty() && !data.iter().any(is_ours);
    is_elsewhere.then(|| "its bytes are in another store too: taking it away frees nothing".into())
}

/// Says why a view goes.
fn why_evicted(view: &EvictionUnit) -> String {
    let used = view.last_touch().map_or_else(|| "never".to_owned(), date);
    match (view.is_going, view.is_retired) {
        (true, _) => "its removal was begun".to_owned(),
        (false, true) => format!("retired, and least recently used: {used}"),
        (false, false) => format!("least recently used: {used}"),
    }
}

#[cfg(test)]
mod tests;
