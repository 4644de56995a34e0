//! Defines the document of `gc`.

use std::borrow::Cow;

use model_provisioner::{Evicted, EvictionPlan, Kept, readable_size};
use serde::Serialize;

use super::leftover::Leftover;

/// Says what `gc` removed, or would remove.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Collected<'a> {
    /// How many bytes `gc` freed, in blocks of the disk.
    freed_bytes: u64,
    /// The models that `gc` evicted.
    evicted: Vec<Gone<'a>>,
    /// The models that stay.
    kept: Vec<Stays<'a>>,
    /// The leftovers that `gc` removed.
    leftovers: Vec<Leftover>,
    /// The leftovers that stay.
    kept_leftovers: Vec<Leftover>,
    /// Whether `gc` only says what it would do.
    dry_run: bool,
    /// The size of the store afterwards, in bytes.
    size_bytes: u64,
    /// The limit, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size_bytes: Option<u64>,
    /// By how many bytes the store misses the limit.
    over_bytes: u64,
}

/// Names a model that `gc` evicted, or would evict.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Gone<'a> {
    /// The id.
    id: &'a str,
    /// How many bytes that freed; of several ids with the same files, the first one counts them.
    bytes: u64,
    /// Why `gc` evicts it.
    reason: Cow<'a, str>,
}

/// Names a model that stays.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Stays<'a> {
    /// The id.
    id: &'a str,
    /// Why it stays.
    reason: &'a str,
}

impl<'a> Gone<'a> {
    /// Returns one for each id. Only the first one counts the bytes.
    fn each(evicted: &'a Evicted) -> impl Iterator<Item = Self> {
        let first = evicted.ids.first();
        evicted.ids.iter().map(move |id| {
            let is_first = Some(id) == first;
            let reason = match first {
                Some(first) if !is_first => format!("it has the files of `{first}`").into(),
                _ => evicted.reason.as_str().into(),
            };
            Self { id, bytes: if is_first { evicted.bytes } else { 0 }, reason }
        })
    }
}

impl<'a> Collected<'a> {
    /// Describes a plan, or what `gc` did of it.
    pub(crate) fn new(plan: &'a EvictionPlan, dry_run: bool) -> Self {
        let stays = |kept: &'a Kept| Stays { id: &kept.id, reason: &kept.reason };
        Self {
            freed_bytes: plan.freed_bytes,
            evicted: plan.evicted.iter().flat_map(Gone::each).collect(),
            kept: plan.kept.iter().map(stays).collect(),
            leftovers: plan.leftovers.iter().map(Leftover::from).collect(),
            kept_leftovers: plan.kept_leftovers.iter().map(Leftover::from).collect(),
            dry_run,
            size_bytes: plan.size_bytes.saturating_sub(plan.freed_bytes),
            max_size_bytes: plan.request.limits.max_size_bytes,
            over_bytes: plan.over_bytes,
        }
    }

    /// Returns each choice with its reason, a line each, for people.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let line = |what: &str, bytes: Option<u64>, name: &str, reason: &str| {
            let bytes = bytes.map(readable_size).unwrap_or_default();
            format!("{what:8}  {bytes:>11}  {name}: {reason}")
        };
        let of_rest = move |what: &'static str| {
            move |rest: &Leftover| {
                line(what, Some(rest.bytes), &rest.name(), rest.reason.as_deref().unwrap_or_default())
            }
        };
        let leftovers = self.leftovers.iter().map(of_rest("leftover"));
        let evicted =
            self.evicted.iter().map(move |gone| line("evict", Some(gone.bytes), gone.id, &gone.reason));
        let kept = self.kept.iter().map(move |stays| line("keep", None, stays.id, stays.reason));
        leftovers.chain(evicted).chain(kept).chain(self.kept_leftovers.iter().map(of_rest("keep")))
    }

    /// Returns what `gc` freed in a line, for people.
    pub(crate) fn summary(&self) -> String {
        let verb = if self.dry_run { "would free" } else { "freed" };
        let (freed, left) = (readable_size(self.freed_bytes), readable_size(self.size_bytes));
        format!("{verb} {freed}; the store {} {left}", if self.dry_run { "would have" } else { "has" })
    }

    /// Returns whether something stays that `--grace 0` would remove.
    pub(crate) fn keeps_idle_leftovers(&self) -> bool {
        self.kept_leftovers.iter().any(Leftover::is_idle)
    }

    /// Returns by how much the store misses the limit.
    pub(crate) fn shortfall(&self) -> String {
        let (limit, over) =
            (readable_size(self.max_size_bytes.unwrap_or_default()), readable_size(self.over_bytes));
        format!("the limit of {limit} is not met: {over} more would have to go, and all that is left is kept")
    }
}
