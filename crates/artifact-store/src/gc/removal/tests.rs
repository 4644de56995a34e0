use std::{os::unix::fs::MetadataExt, time::Duration};

use jiff::SignedDuration;
use provisioner_core::{CatalogRecord, Timestamp};

use super::*;
use crate::{
    files::modified,
    fixture::{Fixture, inode, insert},
    gc::{
        eviction::EvictionPlan,
        leftover::PARTIAL_LIMIT,
        limits::{DEFAULT_GRACE, EvictionLimits, EvictionRequest},
    },
    locks::model_lock::LockWait,
    staging::resumable::ResumableTransfers,
};

/// Returns what `du` would say: every inode once.
fn taken(store: &Store) -> u64 {
    let mut seen = std::collections::HashMap::new();
    let mut paths = vec![store.blobs(), store.models(), store.partials()];
    while let Some(path) = paths.pop() {
        let Ok(metadata) = fs_err::symlink_metadata(&path) else { continue };
        seen.insert((metadata.dev(), metadata.ino()), metadata.blocks() * 512);
        if metadata.is_dir() {
            paths.extend(entries(&path).unwrap());
        }
    }
    seen.values().sum()
}

fn request(max_size_bytes: Option<u64>) -> EvictionRequest {
    let limits = EvictionLimits { max_size_bytes, grace: Duration::ZERO };
    EvictionRequest { limits, now: Timestamp::UNIX_EPOCH, needed_bytes: 0 }
}

/// Carries a plan out.
fn carry_out(store: &Store, records: &[CatalogRecord], request: &EvictionRequest) -> (EvictionPlan, u64) {
    let store_lock = store.lock_exclusive(Duration::ZERO).unwrap();
    let mut removals = store.removals(store_lock, store.inventory(records, &[]).unwrap());
    let plan = removals.inventory().plan_eviction(request);
    let mut freed = 0;
    for swept in &plan.leftovers {
        freed += removals.sweep(swept).unwrap().unwrap();
    }
    for evicted in &plan.evicted {
        let removal = removals.begin(&evicted.root).unwrap();
        freed += removals.finish(removal).unwrap();
    }
    removals.tidy();
    (plan, freed)
}

#[test]
fn a_view_that_cannot_be_renamed_is_removed_where_it_lies() {
    let fixture = Fixture::new();
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one"), ("sub/b", "two")]));
    let root = record.root();
    fs_err::rename(root.join(SEAL), root.join(REMOVED)).unwrap();
    remove_in_place(root).unwrap();
    assert!(!root.exists());
}

fn large(byte: char) -> String {
    String::from(byte).repeat(100_000)
}

#[test]
fn common_bytes_are_held_once_and_freed_last() {
    let fixture = Fixture::new();
    let (same, old, new) = (large('s'), large('o'), large('n'));
    let old = fixture.commit(&fixture.model("hf:org/repo", "old", &[("same", &same), ("a", &old)]));
    let new = fixture.commit(&fixture.model("hf:org/repo@x", "new", &[("same", &same), ("a", &new)]));
    assert_eq!(inode(&old.local_path.join("same")), inode(&new.local_path.join("same")));
    let records = [old.clone(), new.clone()];
    let before = taken(&fixture.store);
    let size = fixture.store.inventory(&records, &[]).unwrap().size_bytes();
    let (plan, freed) = carry_out(&fixture.store, &records, &request(Some(size - 1)));
    assert_eq!((plan.evicted.len(), plan.evicted[0].ids.as_slice()), (1, &["hf:org/repo".into()][..]));
    assert_eq!((plan.freed_bytes, plan.evicted[0].bytes), (freed, freed));
    assert_eq!(before - taken(&fixture.store), freed, "it freed what it said");
    assert!(freed < 200_000, "the common bytes stay");
    assert_eq!(fs_err::read_to_string(new.local_path.join("same")).unwrap(), same);
    let before = taken(&fixture.store);
    let (plan, freed) = carry_out(&fixture.store, &records[1..], &request(Some(0)));
    assert_eq!((before - taken(&fixture.store), plan.freed_bytes, plan.over_bytes), (freed, freed, 0));
    assert!(fixture.store.views().unwrap().is_empty());
    assert!(entries(&fixture.store.models()).unwrap().is_empty(), "no empty folders are left");
    let blobs = entries(&fixture.store.blobs()).unwrap();
    assert!(blobs.iter().all(|folder| entries(folder).unwrap().is_empty()), "nor blobs");
}

#[test]
fn what_another_store_has_frees_nothing() {
    let fixture = Fixture::new();
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", &large('a'))]));
    let foreign = fixture.dir.path().join("foreign");
    fs_err::hard_link(record.local_path.join("a"), &foreign).unwrap();
    let records = [record];
    let inventory = fixture.store.inventory(&records, &[]).unwrap();
    assert!(inventory.size_bytes() < 100_000, "{}", inventory.size_bytes());
    let (plan, freed) = carry_out(&fixture.store, &records, &request(Some(0)));
    assert_eq!((plan.evicted.len(), freed), (0, 0));
    assert!(plan.kept[0].reason.contains("another store"), "{plan:?}");
    assert!(plan.over_bytes > 0);
    let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
    let before = taken(&fixture.store);
    let mut removals = fixture.store.removals(store_lock, inventory);
    let removal = removals.begin(records[0].root()).unwrap();
    let freed = removals.finish(removal).unwrap();
    // The store's files go, and the bytes stay on the disk, for the foreign link has them.
    assert_eq!(before - taken(&fixture.store), freed + fs_err::metadata(&foreign).unwrap().blocks() * 512);
    assert_eq!(fs_err::read_to_string(&foreign).unwrap(), large('a'));
}

#[test]
fn copies_count_for_themselves() {
    let fixture = Fixture::new();
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", &large('a'))]));
    // A file system without links has copies.
    let (file, copy) = (record.local_path.join("a"), fixture.dir.path().join("copy"));
    fs_err::copy(&file, &copy).unwrap();
    fs_err::rename(&copy, &file).unwrap();
    let before = taken(&fixture.store);
    let (plan, freed) = carry_out(&fixture.store, &[record], &request(Some(0)));
    assert!(freed > 200_000 && before - taken(&fixture.store) == freed && plan.freed_bytes == freed);
}

#[test]
fn leftovers_go_and_what_lives_stays() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let kept = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "kept")]));
    let orphan = insert(store, b"orphan");
    let dead = store.partial("dead", 10, "model", &ResumableTransfers::default()).unwrap();
    fs_err::write(dead.file().data, [7; 5000]).unwrap();
    fs_err::write(dead.file().journal, "").unwrap();
    let dead_folder = dead.folder().to_owned();
    drop(dead);
    // Another test that is starting a program just now has a copy of every descriptor for a moment.
    drop(durable_fs::lock(&dead_folder.join("lock"), Duration::from_secs(10)).unwrap());
    let alive = store.partial("alive", 10, "model", &ResumableTransfers::default()).unwrap();
    fs_err::create_dir_all(store.root().join("models/hf/empty/repo/1")).unwrap();
    for hidden in ["models/hf/org/.gone.x", "models/hf/org/.building.x", "quarantine/wrong.1"] {
        fs_err::create_dir_all(store.root().join(hidden)).unwrap();
        fs_err::write(store.root().join(hidden).join("file"), "x").unwrap();
    }
    fs_err::write(orphan.path.with_extension("stamp"), "{}").unwrap();
    let now = modified(&fs_err::metadata(fixture.dir.path()).unwrap()).unwrap();
    let records = [kept.clone()];
    let limits = EvictionLimits { max_size_bytes: None, grace: DEFAULT_GRACE };
    let at = |now: Timestamp| EvictionRequest { limits, now, needed_bytes: 0 };
    let kinds = |plan: &EvictionPlan| plan.leftovers.iter().map(|swept| swept.kind).collect::<Vec<_>>();
    let wait = LockWait { limit: Some(Duration::ZERO), stall: Duration::MAX };
    let lock = store.model_lock("hf:other/repo", wait, &mut |_| true).unwrap();
    let plan = store.inventory(&records, &[]).unwrap().plan_eviction(&at(now));
    assert_eq!(
        kinds(&plan),
        [LeftoverKind::Gone],
        "the model that is being made present may need the orphan"
    );
    drop(lock);
    let plan = store.inventory(&records, &[]).unwrap().plan_eviction(&at(now));
    assert_eq!(kinds(&plan), [LeftoverKind::Blob, LeftoverKind::Gone]);
    let later = now + SignedDuration::try_from(PARTIAL_LIMIT + Duration::from_secs(60)).unwrap();
    let (plan, _) = carry_out(store, &records, &at(later));
    assert_eq!(plan.leftovers.len(), 5, "{plan:?}");
    assert!(!orphan.path.exists() && !dead_folder.exists() && alive.folder().exists());
    assert!(kept.local_path.exists() && plan.evicted.is_empty());
    assert!(!store.root().join("models/hf/empty").exists(), "no empty folder stays");
    assert!(store.inventory(&records, &[]).unwrap().plan_eviction(&at(later)).is_empty());
}

#[test]
fn a_file_among_the_blobs_that_no_digest_names_is_a_leftover() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let records = [fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]))];
    let blob = store.blob_path(records[0].files[0].sha256.as_ref().unwrap());
    let stray = blob.with_file_name("notes");
    fs_err::write(&stray, large('n')).unwrap();
    let before = taken(store);
    let inventory = store.inventory(&records, &[]).unwrap();
    assert_eq!(inventory.blobs.len(), 1);
    let (plan, freed) = carry_out(store, &records, &request(None));
    let [swept] = &plan.leftovers[..] else { panic!("one: {plan:?}") };
    assert_eq!((&swept.path, swept.kind, swept.bytes), (&stray, LeftoverKind::Blob, freed));
    assert_eq!(before - taken(store), freed);
    assert!(blob.exists() && !stray.exists());
}

#[test]
fn a_stamp_goes_with_its_blob() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]));
    let blob = store.blob_path(record.files[0].sha256.as_ref().unwrap());
    // Another tool has a link to the blob, so that its removal frees the stamp alone.
    fs_err::hard_link(&blob, fixture.dir.path().join("foreign")).unwrap();
    let inventory = store.inventory(&[record], &[]).unwrap();
    let stamp = fs_err::metadata(blob.with_extension("stamp")).unwrap().blocks() * 512;
    assert!(stamp > 0 && inventory.blobs[0].stamp_bytes == stamp);
    assert_eq!(inventory.freed_bytes(&[0]), stamp);
}

#[test]
fn what_is_in_use_is_not_begun() {
    let fixture = Fixture::new();
    let records = [fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]))];
    let root = records[0].root();
    let lease = fixture.store.lease(root, "hf:org/repo", Duration::ZERO).unwrap();
    let plan = fixture.store.inventory(&records, &[]).unwrap().plan_eviction(&request(Some(0)));
    assert!(plan.evicted.is_empty() && plan.kept[0].reason.starts_with("in use by process "), "{plan:?}");
    let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
    let removals = fixture.store.removals(store_lock, fixture.store.inventory(&records, &[]).unwrap());
    assert!(matches!(removals.begin(root), Err(Error::Leased { .. })));
    assert!(fixture.store.is_sealed(root));
    drop(lease);
    assert!(
        matches!(removals.begin(&fixture.store.models()), Err(Error::NotOurs(_))),
        "only views are removed"
    );
    drop(removals.begin(root).unwrap());
    assert!(fixture.store.views().unwrap().is_empty(), "a removal that was begun does not come back");
    drop(removals);
    let (plan, _) = carry_out(&fixture.store, &[], &request(None));
    assert_eq!(plan.evicted[0].reason, "its removal was begun");
    assert!(!root.exists());
}

#[test]
fn what_is_pinned_stays() {
    let fixture = Fixture::new();
    let records =
        [fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", &large('a')), ("b", &large('b'))]))];
    let pinned = records[0].files[0].sha256.clone().unwrap();
    let inventory = fixture.store.inventory(&records, std::slice::from_ref(&pinned)).unwrap();
    let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
    let mut removals = fixture.store.removals(store_lock, inventory);
    let removal = removals.begin(records[0].root()).unwrap();
    let freed = removals.finish(removal).unwrap();
    assert!(freed < 200_000, "{freed}");
    assert!(fixture.store.blob(&pinned).unwrap().is_some());
}

#[test]
fn a_stray_file_hides_no_view() {
    let fixture = Fixture::new();
    let records = [fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]))];
    fs_err::write(fixture.store.models().join("hf/README"), "hello").unwrap();
    let (plan, _) = carry_out(&fixture.store, &records, &request(Some(0)));
    assert_eq!(plan.evicted.len(), 1);
    assert_eq!(&*plan.kept[0].id, "hf/README");
    assert!(fixture.store.models().join("hf/README").exists());
}

#[test]
fn a_commit_waits_until_the_store_lock_is_free() {
    let fixture = Fixture::new();
    let model = fixture.model("hf:org/repo", "abc", &[("a", "one")]);
    let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| fixture.commit(&model));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!fixture.store.root().join("blobs").exists() && !commit.is_finished());
        drop(store_lock);
        assert!(commit.join().unwrap().local_path.exists());
    });
}

#[test]
fn unfinished_transfers_and_wrong_files_go_before_any_model() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", &large('a'))]));
    let dead = store.partial("dead", 100_000, "hf:org/dead", &ResumableTransfers::default()).unwrap();
    fs_err::write(dead.file().data, large('d')).unwrap();
    fs_err::write(dead.file().journal, "").unwrap();
    let dead_folder = dead.folder().to_owned();
    drop(dead);
    drop(durable_fs::lock(&dead_folder.join("lock"), Duration::from_secs(10)).unwrap());
    let alive = store.partial("alive", 10, "hf:org/alive", &ResumableTransfers::default()).unwrap();
    let wrong = store.quarantined().join("wrong.1/wrong");
    fs_err::create_dir_all(&wrong).unwrap();
    fs_err::write(wrong.join("file"), large('w')).unwrap();
    let records = [record.clone()];
    let now = modified(&fs_err::metadata(&wrong).unwrap()).unwrap();
    let an_hour_later = now + SignedDuration::from_hours(1);
    let plan = |max_size_bytes| {
        let limits = EvictionLimits { max_size_bytes, grace: DEFAULT_GRACE };
        let request = EvictionRequest { limits, now: an_hour_later, needed_bytes: 0 };
        store.inventory(&records, &[]).unwrap().plan_eviction(&request)
    };
    let gone = |plan: &EvictionPlan| {
        let ids = plan.leftovers.iter().map(|swept| swept.id.clone().unwrap_or("-".to_owned()));
        ids.chain(plan.evicted.iter().flat_map(|gone| gone.ids.iter().map(ToString::to_string)))
            .collect::<Vec<_>>()
    };
    assert_eq!((gone(&plan(None)), plan(None).kept_leftovers.len()), (Vec::<String>::new(), 3));
    let size = plan(None).size_bytes;
    assert_eq!(gone(&plan(Some(size - 1))), ["-"], "what is wrong goes first");
    assert_eq!(gone(&plan(Some(size - 120_000))), ["-", "hf:org/dead"], "no model has to go");
    assert_eq!(gone(&plan(Some(0))), ["-", "hf:org/dead", "hf:org/repo"]);
    let kept = plan(Some(0)).kept_leftovers;
    assert_eq!((kept.len(), kept[0].id.as_deref()), (1, Some("hf:org/alive")));
    assert_eq!(kept[0].reason, "a live process works on it");
    let before = taken(store);
    let (done, freed) = carry_out(store, &records, &request(None));
    assert_eq!(gone(&done), ["hf:org/dead", "-"], "without grace, and without a limit");
    assert!(before - taken(store) > 100_000 && freed > 200_000 && record.local_path.exists());
    assert!(!dead_folder.exists() && alive.folder().exists() && !wrong.exists());
}

#[test]
fn what_is_about_to_come_keeps_its_own_transfer_and_no_other() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let mut folders = Vec::new();
    for name in ["mine", "other"] {
        let partial = store.partial(name, 100_000, name, &ResumableTransfers::default()).unwrap();
        fs_err::write(partial.file().data, large('d')).unwrap();
        fs_err::write(partial.file().journal, "").unwrap();
        folders.push(partial.folder().to_owned());
    }
    let room = |max: u64| {
        let inventory = store.inventory(&[], &[]).unwrap().keeping(&folders[..1]);
        inventory.plan_eviction(&EvictionRequest { needed_bytes: 1000, ..request(Some(max)) })
    };
    let enough = room(150_000);
    assert_eq!((enough.leftovers.len(), &enough.leftovers[0].path, enough.over_bytes), (1, &folders[1], 0));
}

#[test]
fn a_leftover_that_another_process_removes_or_takes_meanwhile_is_passed_over() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for name in ["removed", "taken"] {
        let dead = store.partial(name, 10, "hf:org/dead", &ResumableTransfers::default()).unwrap();
        fs_err::remove_file(dead.folder().join("about")).unwrap();
    }
    let stray = store.quarantined().join("wrong.1");
    fs_err::create_dir_all(&stray).unwrap();
    let store_lock = store.lock_exclusive(Duration::ZERO).unwrap();
    let mut removals = store.removals(store_lock, store.inventory(&[], &[]).unwrap());
    let plan = removals.inventory().plan_eviction(&request(None));
    let partials: Vec<_> = entries(&store.partials()).unwrap();
    assert_eq!((plan.leftovers.len(), partials.len()), (3, 2));
    fs_err::remove_dir_all(&partials[0]).unwrap();
    let taken = store.lock_abandoned(&partials[1], true).unwrap();
    fs_err::remove_dir(&stray).unwrap();
    for swept in &plan.leftovers {
        assert_eq!(removals.sweep(swept).unwrap(), None, "{swept:?}");
    }
    assert!(taken.folder().exists());
}
