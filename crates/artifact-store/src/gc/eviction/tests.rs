use std::{collections::HashSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::gc::{
    inventory::{Claim, Inode},
    limits::EvictionLimits,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn view(id: &str, used: i64, inodes: &[u32]) -> EvictionUnit {
    let mut view = EvictionUnit::of(id.as_ref());
    view.used_at = Some(at(used));
    view.inodes = inodes.into();
    view.data_count = inodes.len().try_into().unwrap();
    view
}

fn inventory(bytes: &[u64], views: Vec<EvictionUnit>) -> StoreInventory {
    let inodes = bytes.iter().map(|&bytes| Inode { bytes, is_ours: true });
    StoreInventory { inodes: inodes.collect(), views, ..StoreInventory::default() }
}

fn request(max: u64) -> EvictionRequest {
    let limits = EvictionLimits { max_size_bytes: Some(max), grace: Duration::from_secs(600) };
    EvictionRequest { limits, now: at(1_000_000), needed_bytes: 0 }
}

fn unlimited() -> EvictionRequest {
    let limits = EvictionLimits { max_size_bytes: None, grace: Duration::from_secs(600) };
    EvictionRequest { limits, ..request(0) }
}

fn evicted(plan: &EvictionPlan) -> Vec<&str> {
    plan.evicted.iter().map(|view| &*view.ids[0]).collect()
}

fn reasons(plan: &EvictionPlan) -> Vec<String> {
    plan.kept.iter().map(|kept| format!("{}: {}", kept.id, kept.reason)).collect()
}

#[test]
fn the_least_recently_used_go_first_and_retired_ones_before() {
    let mut old_retired = view("retired", 500_000, &[3]);
    old_retired.is_retired = true;
    let views = vec![view("c", 300, &[2]), view("a", 200, &[0]), view("b", 200, &[1]), old_retired];
    let inventory = inventory(&[10, 10, 10, 10], views);
    assert_eq!(evicted(&inventory.plan_eviction(&request(40))), [""; 0]);
    assert_eq!(evicted(&inventory.plan_eviction(&request(39))), ["retired"]);
    let plan = inventory.plan_eviction(&request(10));
    assert_eq!(evicted(&plan), ["retired", "a", "b"]);
    assert_eq!((plan.size_bytes, plan.freed_bytes, plan.over_bytes), (40, 30, 0));
    assert_eq!(plan.evicted[0].reason, "retired, and least recently used: 1970-01-06 18:53");
    assert_eq!(plan.evicted[1].reason, "least recently used: 1970-01-01 00:03");
    assert_eq!(reasons(&plan), ["c: the limit is kept without it"]);
}

#[test]
fn without_a_limit_models_stay() {
    let plan = inventory(&[10], vec![view("a", 1, &[0])]).plan_eviction(&unlimited());
    assert_eq!((evicted(&plan), reasons(&plan)), (vec![], vec!["a: no limit is set".to_owned()]));
}

#[test]
fn what_is_in_use_or_was_just_used_stays_and_the_limit_is_said_to_be_missed() {
    let (used, mut recorded) = (view("used", 1_000_000 - 180, &[0]), view("recorded", 5, &[1]));
    recorded.recorded_at = Some(at(1_000_000 - 1));
    let mut leased = view("leased", 1, &[2]);
    leased.claim = Some(Box::new(Claim::Leased(Vec::new())));
    let mut staged = view("staged", 1, &[3]);
    staged.claim = Some(Box::new(Claim::Staged(None)));
    let mut inventory = inventory(&[10, 20, 30, 40], vec![used, recorded, leased, staged]);
    inventory.local.push("local:/a".into());
    let plan = inventory.plan_eviction(&request(5));
    assert_eq!((evicted(&plan), plan.over_bytes), (vec![], 95));
    assert_eq!(
        reasons(&plan),
        [
            "leased: in use by a process that left no name",
            "local:/a: yours: not in the store",
            "recorded: recorded 1 second ago",
            "staged: being made present by another process",
            "used: used 3 minutes ago",
        ]
    );
    let mut without_grace = request(0);
    without_grace.limits.grace = Duration::ZERO;
    let plan = inventory.plan_eviction(&without_grace);
    assert_eq!((evicted(&plan), plan.over_bytes), (vec!["used", "recorded"], 70));
}

#[test]
fn no_model_is_lost_for_one_that_does_not_fit() {
    let inventory = inventory(&[10, 10], vec![view("a", 1, &[0]), view("b", 2, &[1])]);
    let room = |needed_bytes| inventory.plan_eviction(&EvictionRequest { needed_bytes, ..request(25) });
    assert_eq!(evicted(&room(5)), [""; 0]);
    assert_eq!(evicted(&room(6)), ["a"]);
    assert_eq!(evicted(&room(25)), ["a", "b"]);
    assert_eq!((evicted(&room(26)), room(26).over_bytes), (vec![], 21));
}

#[test]
fn a_removal_that_was_begun_is_finished_without_a_limit() {
    let mut going = view("a", 1_000_000, &[0]);
    going.is_going = true;
    let going = inventory(&[10], vec![going]);
    assert_eq!(evicted(&going.plan_eviction(&unlimited())), ["a"]);
}

/// Makes the views of the simple model.
fn views() -> impl Strategy<Value = Vec<EvictionUnit>> {
    let one = (any::<bool>(), 0..4u8, 999_000..1_000_100i64, proptest::collection::btree_set(0..8u32, 1..4));
    proptest::collection::vec(one, 0..8).prop_map(|views| {
        let made = views.into_iter().enumerate().map(|(n, (is_retired, claim, used, inodes))| {
            let mut made = view(&format!("m{n}"), used, &inodes.into_iter().collect::<Vec<_>>());
            made.is_retired = is_retired;
            made.claim = (claim == 0).then(|| Box::new(Claim::Leased(Vec::new())));
            made
        });
        made.collect()
    })
}

proptest! {
    /// Compares a plan with a simple model: sets of views, whose bytes are those of all inodes that no other view has.
    #[test]
    fn plans_are_exact_and_harm_no_other_view(
        views in views(),
        inodes in proptest::collection::vec((0..100u64, proptest::bool::weighted(0.8)), 8),
        max in 0..500u64,
        needed in 0..200u64,
        has_limit in proptest::bool::weighted(0.9),
    ) {
        let inodes = inodes.into_iter().map(|(bytes, is_ours)| Inode { bytes, is_ours }).collect();
        let inventory = StoreInventory { inodes, views, ..StoreInventory::default() };
        let limited = if has_limit { request(max) } else { unlimited() };
        let request = EvictionRequest { needed_bytes: needed, ..limited };
        let plan = inventory.plan_eviction(&request);
        let find = |id: &str| inventory.views.iter().find(|view| *view.ids[0] == *id).unwrap();
        let gone: HashSet<&str> = evicted(&plan).into_iter().collect();
        let stays: HashSet<u32> = inventory.views.iter()
            .filter(|view| !gone.contains(&*view.ids[0]))
            .flat_map(|view| view.inodes.clone()).collect();
        let lost: HashSet<u32> = gone.iter().flat_map(|id| find(id).inodes.clone())
            .filter(|inode| !stays.contains(inode)).collect();
        let bytes: u64 = lost.iter().map(|&at| &inventory.inodes[at as usize]).filter(|p| p.is_ours).map(|p| p.bytes).sum();
        prop_assert_eq!(plan.freed_bytes, bytes, "the sum is that of the inodes that no view has any more");
        prop_assert_eq!(plan.evicted.iter().map(|view| view.bytes).sum::<u64>(), bytes);
        let may_go = |view: &&EvictionUnit| view.claim.is_none() && 1_000_000 - view.used_at.unwrap().as_second() >= 600
            && view.data().iter().any(|&at| inventory.inodes[at as usize].is_ours);
        prop_assert!(gone.iter().all(|id| may_go(&find(id))));
        prop_assert_eq!(plan.kept.len() + plan.evicted.len(), inventory.views.len());
        let rank = |view: &EvictionUnit| (!view.is_retired, view.used_at, view.ids.clone());
        let ranks: Vec<_> = plan.evicted.iter().map(|view| rank(find(&view.ids[0]))).collect();
        prop_assert!(ranks.is_sorted());
        let candidates: Vec<_> = inventory.views.iter().filter(may_go).collect();
        if let Some(last) = ranks.last() {
            let before = candidates.iter().filter(|view| rank(view) <= *last).count();
            prop_assert_eq!(before, gone.len(), "no view was passed over");
        }
        let size: u64 = inventory.inodes.iter().filter(|p| p.is_ours).map(|p| p.bytes).sum();
        if !has_limit || size + needed <= max {
            prop_assert!(gone.is_empty());
        } else if plan.over_bytes > 0 {
            prop_assert_eq!(gone.len(), if needed > 0 { 0 } else { candidates.len() });
        } else {
            prop_assert!(size - bytes + needed <= max);
            let but_last: u64 = plan.evicted.iter().rev().skip(1).map(|view| view.bytes).sum();
            prop_assert!(size - but_last + needed > max, "no more than is needed");
        }
    }
}
