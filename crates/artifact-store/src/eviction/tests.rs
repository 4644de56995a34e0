use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn unit(id: &str, used: i64, inodes: &[usize]) -> EvictionUnit {
    let mut unit = EvictionUnit::of(id.as_ref(), id.to_owned());
    unit.used_at = Some(at(used));
    unit.inodes = inodes.to_vec();
    unit.data = inodes.to_vec();
    unit
}

fn inventory(bytes: &[u64], units: Vec<EvictionUnit>) -> StoreInventory {
    let inodes = bytes.iter().map(|&bytes| Inode { bytes, is_ours: true, blob: None });
    StoreInventory { inodes: inodes.collect(), units, ..StoreInventory::default() }
}

fn terms(max: u64) -> Terms {
    Terms { now: at(1_000_000), max_size_bytes: Some(max), needed_bytes: 0, grace: Duration::from_secs(600) }
}

fn evicted(plan: &Plan) -> Vec<&str> {
    plan.evicted.iter().map(|unit| unit.ids[0].as_str()).collect()
}

fn reasons(plan: &Plan) -> Vec<String> {
    plan.kept.iter().map(|kept| format!("{}: {}", kept.id, kept.reason)).collect()
}

#[test]
fn the_least_recently_used_go_first_and_retired_ones_before() {
    let mut old_retired = unit("retired", 500_000, &[3]);
    old_retired.is_retired = true;
    let units = vec![unit("c", 300, &[2]), unit("a", 200, &[0]), unit("b", 200, &[1]), old_retired];
    let inventory = inventory(&[10, 10, 10, 10], units);
    assert_eq!(evicted(&Plan::new(&inventory, &terms(40))), [""; 0]);
    assert_eq!(evicted(&Plan::new(&inventory, &terms(39))), ["retired"]);
    let plan = Plan::new(&inventory, &terms(10));
    assert_eq!(evicted(&plan), ["retired", "a", "b"]);
    assert_eq!((plan.size_bytes, plan.freed_bytes, plan.over_bytes), (40, 30, 0));
    assert_eq!(plan.evicted[0].reason, "retired, and least recently used: 1970-01-06 18:53");
    assert_eq!(plan.evicted[1].reason, "least recently used: 1970-01-01 00:03");
    assert_eq!(reasons(&plan), ["c: the limit is kept without it"]);
}

#[test]
fn without_a_limit_models_stay() {
    let plan =
        Plan::new(&inventory(&[10], vec![unit("a", 1, &[0])]), &Terms { max_size_bytes: None, ..terms(0) });
    assert_eq!((evicted(&plan), reasons(&plan)), (vec![], vec!["a: no limit is set".to_owned()]));
}

#[test]
fn what_is_in_use_or_was_just_used_stays_and_the_limit_is_said_to_be_missed() {
    let (used, mut recorded) = (unit("used", 1_000_000 - 180, &[0]), unit("recorded", 5, &[1]));
    recorded.recorded_at = Some(at(1_000_000 - 1));
    let mut leased = unit("leased", 1, &[2]);
    leased.claim = Some(Claim::Leased(Vec::new()));
    let mut brought = unit("brought", 1, &[3]);
    brought.claim = Some(Claim::Brought(None));
    let mut inventory = inventory(&[10, 20, 30, 40], vec![used, recorded, leased, brought]);
    inventory.local.push("local:/a".to_owned());
    let plan = Plan::new(&inventory, &terms(5));
    assert_eq!((evicted(&plan), plan.over_bytes), (vec![], 95));
    assert_eq!(
        reasons(&plan),
        [
            "brought: being made present by another process",
            "leased: in use by a process that left no name",
            "local:/a: yours: not in the store",
            "recorded: recorded 1 second ago",
            "used: used 3 minutes ago",
        ]
    );
    let plan = Plan::new(&inventory, &Terms { grace: Duration::ZERO, ..terms(0) });
    assert_eq!((evicted(&plan), plan.over_bytes), (vec!["used", "recorded"], 70));
}

#[test]
fn no_model_is_lost_for_one_that_does_not_fit() {
    let inventory = inventory(&[10, 10], vec![unit("a", 1, &[0]), unit("b", 2, &[1])]);
    let room = |needed_bytes| Plan::new(&inventory, &Terms { needed_bytes, ..terms(25) });
    assert_eq!(evicted(&room(5)), [""; 0]);
    assert_eq!(evicted(&room(6)), ["a"]);
    assert_eq!(evicted(&room(25)), ["a", "b"]);
    assert_eq!((evicted(&room(26)), room(26).over_bytes), (vec![], 21));
}

#[test]
fn a_removal_that_was_begun_is_finished_without_a_limit() {
    let mut going = unit("a", 1_000_000, &[0]);
    going.is_going = true;
    let going = inventory(&[10], vec![going]);
    assert_eq!(evicted(&Plan::new(&going, &Terms { max_size_bytes: None, ..terms(0) })), ["a"]);
}

/// What a unit of the simple model is.
fn units() -> impl Strategy<Value = Vec<EvictionUnit>> {
    let one =
        (any::<bool>(), 0..4u8, 999_000..1_000_100i64, proptest::collection::btree_set(0..8usize, 1..4));
    proptest::collection::vec(one, 0..8).prop_map(|units| {
        let made = units.into_iter().enumerate().map(|(n, (is_retired, claim, used, inodes))| {
            let mut unit = unit(&format!("m{n}"), used, &inodes.into_iter().collect::<Vec<_>>());
            unit.is_retired = is_retired;
            unit.claim = (claim == 0).then(|| Claim::Leased(Vec::new()));
            unit
        });
        made.collect()
    })
}

proptest! {
    /// Against a simple model: sets of units, whose bytes are those of all inodes that nobody of the rest has.
    #[test]
    fn plans_are_exact_and_harm_nobody(
        units in units(),
        inodes in proptest::collection::vec((0..100u64, proptest::bool::weighted(0.8)), 8),
        max in 0..500u64,
        needed in 0..200u64,
        has_limit in proptest::bool::weighted(0.9),
    ) {
        let inodes = inodes.into_iter().map(|(bytes, is_ours)| Inode { bytes, is_ours, blob: None }).collect();
        let inventory = StoreInventory { inodes, units, ..StoreInventory::default() };
        let terms = Terms { max_size_bytes: has_limit.then_some(max), needed_bytes: needed, ..terms(max) };
        let plan = Plan::new(&inventory, &terms);
        let find = |id: &str| inventory.units.iter().find(|unit| unit.ids[0] == id).unwrap();
        let gone: HashSet<&str> = evicted(&plan).into_iter().collect();
        let stays: HashSet<usize> = inventory.units.iter()
            .filter(|unit| !gone.contains(unit.ids[0].as_str()))
            .flat_map(|unit| unit.inodes.clone()).collect();
        let lost: HashSet<usize> = gone.iter().flat_map(|id| find(id).inodes.clone())
            .filter(|inode| !stays.contains(inode)).collect();
        let bytes: u64 = lost.iter().map(|&at| &inventory.inodes[at]).filter(|p| p.is_ours).map(|p| p.bytes).sum();
        prop_assert_eq!(plan.freed_bytes, bytes, "the sum is that of the inodes that nobody has any more");
        prop_assert_eq!(plan.evicted.iter().map(|unit| unit.bytes).sum::<u64>(), bytes);
        let may_go = |unit: &&EvictionUnit| unit.claim.is_none() && 1_000_000 - unit.used_at.unwrap().as_second() >= 600
            && unit.data.iter().any(|&at| inventory.inodes[at].is_ours);
        prop_assert!(gone.iter().all(|id| may_go(&find(id))));
        prop_assert_eq!(plan.kept.len() + plan.evicted.len(), inventory.units.len());
        let rank = |unit: &EvictionUnit| (!unit.is_retired, unit.used_at, unit.ids.clone());
        let ranks: Vec<_> = plan.evicted.iter().map(|unit| rank(find(&unit.ids[0]))).collect();
        prop_assert!(ranks.is_sorted());
        let candidates: Vec<_> = inventory.units.iter().filter(may_go).collect();
        if let Some(last) = ranks.last() {
            let before = candidates.iter().filter(|unit| rank(unit) <= *last).count();
            prop_assert_eq!(before, gone.len(), "nobody was passed over");
        }
        let size: u64 = inventory.inodes.iter().filter(|p| p.is_ours).map(|p| p.bytes).sum();
        if !has_limit || size + needed <= max {
            prop_assert!(gone.is_empty());
        } else if plan.over_bytes > 0 {
            prop_assert_eq!(gone.len(), if needed > 0 { 0 } else { candidates.len() });
        } else {
            prop_assert!(size - bytes + needed <= max);
            let but_last: u64 = plan.evicted.iter().rev().skip(1).map(|unit| unit.bytes).sum();
            prop_assert!(size - but_last + needed > max, "no more than is needed");
        }
    }
}
