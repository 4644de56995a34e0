//! The catalog of files, a page at a time.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod now;

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use catalog_adapter::FsCatalog;
use provisioner_core::{
    CatalogError, CatalogRecord, CatalogStore, Clock, DamagedRecord, Listing, PageStart, Precondition,
    RecordPage, Timestamp, Version, Versioned, key_of,
};
use testkit::conformance;

use now::Now;

#[derive(Debug)]
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

fn open(cache: &Path) -> FsCatalog {
    FsCatalog::open(cache, Arc::new(Epoch), FsCatalog::DEFAULT_WAIT).unwrap()
}

/// Writes the file of a record, without the syncs of a put.
fn write(cache: &Path, id: &str, reason: &str) -> PathBuf {
    let json = serde_json::json!({
        "schema_version": 1, "version": 1,
        "id": id, "local_path": "/a", "lifecycle": "Active", "size_bytes": 1, "format": "other", "files": [],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "verification": { "outcome": "warn", "reason": reason },
    });
    let key = key_of(id);
    let path = cache.join("catalog-v1").join(&key[..2]).join(format!("{}.json", &key[2..]));
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, json.to_string()).unwrap();
    path
}

/// Returns every page of a catalog.
async fn pages(catalog: &FsCatalog) -> Vec<RecordPage> {
    let (mut pages, mut start): (Vec<RecordPage>, Option<PageStart>) = (Vec::new(), None);
    loop {
        pages.push(catalog.page(start.as_ref()).await.unwrap());
        assert!(pages.len() < 100, "the pages end");
        start = pages[pages.len() - 1].next.clone();
        if start.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn a_large_catalog_comes_in_bounded_pages_and_names_each_damage_once() {
    let dir = tempfile::tempdir().unwrap();
    let id = |number: usize| format!("local:/{number:04}");
    for number in 0..2200 {
        write(dir.path(), &id(number), "unverified");
    }
    fs_err::write(write(dir.path(), &id(7), "unverified"), "{").unwrap();
    // This process can list no folder whose name leads to itself.
    let root = dir.path().join("catalog-v1");
    for name in ["00~", "77~", "ff~"] {
        symlink(root.join(name), root.join(name)).unwrap();
    }
    let catalog = open(dir.path());
    let pages = pages(&catalog).await;
    assert!(pages.iter().all(|page| page.records.len() + page.damaged.len() <= 512 + 3));
    assert_eq!(pages.len(), 5);
    let mut ids: Vec<_> = pages.iter().flat_map(|page| &page.records).map(|found| &found.record.id).collect();
    ids.sort_unstable();
    let expected: Vec<_> = (0..2200).filter(|number| *number != 7).map(id).collect();
    assert!(ids.iter().copied().eq(&expected), "{} of {}", ids.len(), expected.len());
    assert_eq!(pages.iter().map(|page| page.damaged.len()).sum::<usize>(), 4, "each is named once");
    let listing = catalog.list().await.unwrap();
    assert_eq!((listing.records.len(), listing.damaged.len()), (2199, 4));
    assert!(listing.records.is_sorted_by_key(|found| &found.record.id));
}

#[tokio::test]
async fn a_change_between_pages_moves_no_other_record() {
    let dir = tempfile::tempdir().unwrap();
    let id = |number: usize| format!("local:/{number:04}");
    for number in 0..1100 {
        write(dir.path(), &id(number), "unverified");
    }
    let catalog = open(dir.path());
    let (mut ids, mut start, mut made) = (Vec::new(), None, 0);
    loop {
        let page = catalog.page(start.as_ref()).await.unwrap();
        assert!(page.damaged.is_empty());
        for found in [page.records.first(), page.records.last()].into_iter().flatten() {
            catalog.remove(&found.record.id, found.version).await.unwrap();
        }
        // Another process records some models: each may come on a later page, or on none.
        for _ in 0..50 {
            write(dir.path(), &format!("local:/new-{made}"), "unverified");
            made += 1;
        }
        ids.extend(page.records.into_iter().map(|found| found.record.id));
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    assert!(made > 100, "there are several pages");
    ids.retain(|id| !id.starts_with("local:/new-"));
    ids.sort_unstable();
    let expected: Vec<_> = (0..1100).map(id).collect();
    assert!(ids == expected, "{} of {}", ids.len(), expected.len());
}

#[tokio::test]
async fn a_page_ends_behind_a_large_record() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(5 << 20);
    for number in 0..5 {
        write(dir.path(), &format!("local:/{number}"), &long);
    }
    let counts: Vec<_> = pages(&open(dir.path())).await.iter().map(|page| page.records.len()).collect();
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn a_record_without_a_version_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "local:/a", "unverified");
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(open(dir.path()).get("local:/a").await.is_ok());
    for version in ["", "\"version\":\"1\",", "\"version\":-1,"] {
        fs_err::write(&path, text.replace("\"version\":1,", version).replace(",\"version\":1", "")).unwrap();
        let error = open(dir.path()).get("local:/a").await.unwrap_err();
        assert!(error.message.contains("it has no version"), "{error}");
    }
}

#[tokio::test]
async fn several_records_come_with_the_damaged_ones_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    for id in ["local:/a", "local:/b"] {
        write(dir.path(), id, "unverified");
    }
    fs_err::write(write(dir.path(), "local:/c", "unverified"), "{").unwrap();
    let asked = ["local:/c", "local:/b", "local:/a"].map(str::to_owned);
    let plain = Plain(open(dir.path()));
    for found in [plain.0.get_several(&asked).await.unwrap(), plain.get_several(&asked).await.unwrap()] {
        let ids: Vec<_> = found.records.iter().map(|found| found.record.id.as_str()).collect();
        assert_eq!(ids, ["local:/b", "local:/a"]);
        assert!(found.damaged.len() == 1 && found.damaged[0].reason.contains("is damaged"), "{found:?}");
    }
}

/// A catalog that has only what the contract demands, and the defaults.
#[derive(Debug)]
struct Plain(FsCatalog);

#[async_trait]
impl CatalogStore for Plain {
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError> {
        self.0.get(id).await
    }

    async fn put(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError> {
        self.0.put(record, expected).await
    }

    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError> {
        self.0.remove(id, expected).await
    }

    async fn list(&self) -> Result<Listing, CatalogError> {
        self.0.list().await
    }

    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError> {
        self.0.set_aside(damaged).await
    }
}

#[tokio::test]
async fn the_defaults_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    let next = || dir.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
    conformance::catalog(|| Plain(FsCatalog::open(&next(), Arc::new(Now), FsCatalog::DEFAULT_WAIT).unwrap()))
        .await;
}
