//! Checks the contract of `CatalogStore`.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use crate::{
    catalog::{CatalogError, CatalogErrorKind, CatalogStore, Precondition, RecordPage, Version},
    clock::Timestamp,
    digest::Digest,
    format::Format,
    record::{CatalogRecord, Lifecycle},
    verification::{Basis, Outcome, Verification},
};

/// Makes a record that a store has to keep.
fn record(id: &str) -> CatalogRecord {
    let json = serde_json::json!({
        "id": id, "local_path": "/models/a.gguf", "lifecycle": "Active", "size_bytes": 1, "format": "gguf",
        "entry": "a.gguf", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "files": [{ "path": "a.gguf", "settled": true, "format": "gguf",
                    "stamp": { "size": 1, "mtime_ns": 2, "ctime_ns": 3, "dev": 4, "inode": 5 } }],
        "verification": { "outcome": "warn", "reason": "unverified" },
    });
    serde_json::from_value(json).expect("the record is well formed")
}

/// Runs the whole suite against the stores that `make` returns. Each store must be empty.
///
/// # Panics
/// Panics where the store breaks the contract.
pub async fn catalog<S: CatalogStore>(make: impl Fn() -> S) {
    keeps_what_is_put(&make()).await;
    refuses_what_was_not_expected(&make()).await;
    never_repeats_a_version(&make()).await;
    takes_any_id(&make()).await;
    has_each_record_on_one_page(&make()).await;
    gets_several_in_the_order_asked(&make()).await;
    keeps_what_it_does_not_know(&make()).await;
    loses_no_update(Arc::new(make())).await;
    is_whole_when_dropped(Arc::new(make())).await;
}

async fn keeps_what_is_put(store: &dyn CatalogStore) {
    assert!(store.get("local:/a").await.unwrap().is_none());
    assert!(store.list().await.unwrap().records.is_empty());
    let mut full = record("local:/a");
    full.digest = Some(Digest::sha256([7; 32]));
    full.revision = Some("main".to_owned());
    full.lifecycle = Lifecycle::Retired;
    full.format = Format::Safetensors;
    full.verification = Verification {
        outcome: Outcome::Fail,
        basis: Some(Basis::FirstUse),
        reason: "\"quoted\" \u{2028} reason".to_owned(),
        verified_at: Some(Timestamp::UNIX_EPOCH),
    };
    let version = store.put(&full, Precondition::Absent).await.unwrap();
    let found = store.get("local:/a").await.unwrap().unwrap();
    assert_eq!((&found.record, found.version), (&full, version));
    assert!(store.exists(), "there is a record");
    store.put(&record("local:/0"), Precondition::Absent).await.unwrap();
    let listing = store.list().await.unwrap();
    let ids: Vec<_> = listing.records.iter().map(|found| found.record.id.as_str()).collect();
    assert_eq!(ids, ["local:/0", "local:/a"], "a listing is in the order of the ids");
    assert!(listing.damaged.is_empty());
    store.remove("local:/a", version).await.unwrap();
    assert!(store.get("local:/a").await.unwrap().is_none());
    assert_eq!(store.list().await.unwrap().records.len(), 1);
}

async fn refuses_what_was_not_expected(store: &dyn CatalogStore) {
    let one = record("local:/a");
    let conflict = |result: Result<Version, _>| {
        matches!(result, Err(CatalogError { kind: CatalogErrorKind::Conflict, .. }))
    };
    assert!(
        conflict(store.put(&one, Precondition::Version(Version(1))).await),
        "there is nothing to replace"
    );
    let first = store.put(&one, Precondition::Absent).await.unwrap();
    assert!(conflict(store.put(&one, Precondition::Absent).await), "it is there already");
    let second = store.put(&one, Precondition::Version(first)).await.unwrap();
    assert!(second > first);
    let mut other = one.clone();
    other.lifecycle = Lifecycle::Retired;
    assert!(conflict(store.put(&other, Precondition::Version(first)).await), "another caller wrote since");
    assert_eq!(store.get("local:/a").await.unwrap().unwrap().record, one, "a conflict changes nothing");
    assert!(conflict(store.remove("local:/a", first).await.map(|()| first)), "another caller wrote since");
    store.remove("local:/a", second).await.unwrap();
    assert!(conflict(store.remove("local:/a", second).await.map(|()| first)), "it is gone");
}

async fn never_repeats_a_version(store: &dyn CatalogStore) {
    let one = record("local:/a");
    let first = store.put(&one, Precondition::Absent).await.unwrap();
    store.remove("local:/a", first).await.unwrap();
    // A clock of milliseconds must have moved on.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let second = store.put(&one, Precondition::Absent).await.unwrap();
    assert!(second > first, "a caller that remembers the removed record must not change the new one");
}

async fn takes_any_id(store: &dyn CatalogStore) {
    let long = format!("hf:org/repo/{}", "x/".repeat(1000) + "x");
    for id in
        ["local:/etc/../passwd", "hf:o/r?include=%25&exclude=a b", "local:/ü\u{1F600}", "db:'\";--", &long]
    {
        store.put(&record(id), Precondition::Absent).await.unwrap();
        assert_eq!(store.get(id).await.unwrap().unwrap().record.id, id);
    }
    assert!(store.get("LOCAL:/ü\u{1F600}").await.unwrap().is_none(), "ids differ in letter case");
    assert_eq!(store.list().await.unwrap().records.len(), 5);
}

/// How many records lie in a store of several pages.
const ON_PAGES: usize = 24;

async fn has_each_record_on_one_page(store: &dyn CatalogStore) {
    assert!(ids_by_page(store, async |_| {}).await.is_empty());
    let ids: Vec<_> = (0..ON_PAGES).map(|number| format!("local:/{number:02}")).collect();
    for id in &ids {
        store.put(&record(id), Precondition::Absent).await.unwrap();
    }
    assert_eq!(ids_by_page(store, async |_| {}).await, ids, "the pages have what a listing has");
    // A process removes what another one has just read: the other records still come.
    let remove_one = async |page: &RecordPage| {
        if let Some(found) = page.records.last() {
            store.remove(&found.record.id, found.version).await.unwrap();
        }
    };
    assert_eq!(ids_by_page(store, remove_one).await, ids, "a removal hides no other record");
}

/// Returns the ids on all pages, sorted. It calls `between` after each page.
async fn ids_by_page(store: &dyn CatalogStore, between: impl AsyncFn(&RecordPage)) -> Vec<String> {
    let (mut ids, mut start) = (Vec::new(), None);
    loop {
        let page = store.page(start.as_ref()).await.unwrap();
        assert!(page.damaged.is_empty());
        ids.extend(page.records.iter().map(|found| found.record.id.clone()));
        between(&page).await;
        assert!(page.next.is_none() || page.next != start, "a page goes on");
        start = page.next;
        if start.is_none() {
            ids.sort_unstable();
            return ids;
        }
    }
}

async fn gets_several_in_the_order_asked(store: &dyn CatalogStore) {
    for id in ["local:/a", "local:/b", "local:/c"] {
        store.put(&record(id), Precondition::Absent).await.unwrap();
    }
    let asked = ["local:/c", "local:/none", "local:/a"].map(str::to_owned);
    let found = store.get_several(&asked).await.unwrap();
    let ids: Vec<_> = found.records.iter().map(|found| found.record.id.as_str()).collect();
    assert_eq!(ids, ["local:/c", "local:/a"], "an id without a record is left out");
    assert_eq!(found.records[1], store.get("local:/a").await.unwrap().unwrap());
    assert!(found.damaged.is_empty());
}

async fn keeps_what_it_does_not_know(store: &dyn CatalogStore) {
    let mut newer = record("local:/a");
    newer.extra.insert("from_the_future".to_owned(), serde_json::json!({ "deep": [1, null, "x"] }));
    let version = store.put(&newer, Precondition::Absent).await.unwrap();
    let found = store.get("local:/a").await.unwrap().unwrap().record;
    assert_eq!(found.extra, newer.extra);
    store.put(&found, Precondition::Version(version)).await.unwrap();
    assert_eq!(store.get("local:/a").await.unwrap().unwrap().record.extra, newer.extra);
}

/// Lets sixteen callers count in one record, each eight times.
async fn loses_no_update<S: CatalogStore>(store: Arc<S>) {
    let mut zero = record("local:/a");
    zero.size_bytes = 0;
    store.put(&zero, Precondition::Absent).await.unwrap();
    let count = async |store: Arc<S>| {
        for _ in 0..8 {
            loop {
                let found = store.get("local:/a").await.unwrap().unwrap();
                let mut next = found.record;
                next.size_bytes += 1;
                match store.put(&next, Precondition::Version(found.version)).await {
                    Ok(_) => break,
                    Err(error) => assert_eq!(error.kind, CatalogErrorKind::Conflict),
                }
            }
        }
    };
    at_once((0..16).map(|_| count(Arc::clone(&store)))).await;
    assert_eq!(store.get("local:/a").await.unwrap().unwrap().record.size_bytes, 128);
}

/// Drops a put after its first poll. The put must have happened whole, or not at all.
async fn is_whole_when_dropped<S: CatalogStore>(store: Arc<S>) {
    for round in 0..50 {
        let id = format!("local:/{round}");
        let one = record(&id);
        {
            let mut put = pin!(store.put(&one, Precondition::Absent));
            poll_fn(|context| Poll::Ready(put.as_mut().poll(context).is_ready())).await;
        }
        let listing = store.list().await.unwrap();
        assert!(listing.damaged.is_empty());
        assert!(
            listing.records.iter().filter(|found| found.record.id == id).all(|found| found.record == one)
        );
    }
}

/// Polls all of some futures, until each is done.
async fn at_once<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut left: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    poll_fn(|context| {
        left.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if left.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
