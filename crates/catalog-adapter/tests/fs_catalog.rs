//! The catalog of files, against its contract and against damage.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod now;

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use catalog_adapter::FsCatalog;
use provisioner_core::{Basis, CatalogErrorKind, CatalogRecord, CatalogStore, Lifecycle, Precondition};
use testkit::conformance;

use now::Now;

fn open(cache: &Path) -> FsCatalog {
    FsCatalog::open(cache, Arc::new(Now), FsCatalog::DEFAULT_WAIT).unwrap()
}

/// Every file of the catalog, hidden ones too.
fn files(cache: &Path) -> Vec<PathBuf> {
    let Ok(folders) = fs_err::read_dir(cache.join("catalog-v1")) else { return Vec::new() };
    let files = folders.flat_map(|folder| fs_err::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

fn record_files(cache: &Path) -> Vec<PathBuf> {
    files(cache).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
}

/// Two records, and the file of the first.
async fn two_records(cache: &Path) -> PathBuf {
    let catalog = open(cache);
    catalog.put(&record("local:/a"), Precondition::Absent).await.unwrap();
    let first = record_files(cache).remove(0);
    catalog.put(&record("local:/b"), Precondition::Absent).await.unwrap();
    first
}

fn record(id: &str) -> CatalogRecord {
    let json = serde_json::json!({
        "id": id, "local_path": "/a", "lifecycle": "Active", "size_bytes": 1, "format": "other", "files": [],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "verification": { "outcome": "warn", "reason": "unverified" },
    });
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    let next = || dir.path().join(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
    conformance::catalog(|| open(&next())).await;
}

#[tokio::test]
async fn reading_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let catalog = open(&cache);
    assert!(catalog.get("local:/a").await.unwrap().is_none());
    assert!(catalog.list().await.unwrap().records.is_empty());
    assert!(!cache.exists());
}

#[tokio::test]
async fn a_damaged_record_hurts_one_model() {
    let whole = {
        let dir = tempfile::tempdir().unwrap();
        fs_err::read(two_records(dir.path()).await).unwrap()
    };
    let other_id = String::from_utf8(whole.clone()).unwrap().replace("local:/a", "local:/c");
    let half = whole[..whole.len() / 2].to_vec();
    for bad in [Vec::new(), half, b"{}".to_vec(), b"\0\0\0".to_vec(), b"[]".to_vec(), other_id.into_bytes()] {
        let dir = tempfile::tempdir().unwrap();
        let first = two_records(dir.path()).await;
        fs_err::write(&first, &bad).unwrap();
        let catalog = open(dir.path());
        let kind = catalog.get("local:/a").await.unwrap_err().kind;
        assert_eq!(kind, CatalogErrorKind::Damaged, "{}", String::from_utf8_lossy(&bad));
        assert_eq!(catalog.put(&record("local:/a"), Precondition::Absent).await.unwrap_err().kind, kind);
        let listing = catalog.list().await.unwrap();
        assert_eq!((listing.records.len(), listing.damaged.len()), (1, 1));
        assert!(catalog.get("local:/b").await.unwrap().is_some());
        let aside = catalog.set_aside(&listing.damaged[0]).await.unwrap();
        assert_eq!(fs_err::read(aside).unwrap(), bad, "nothing is lost");
        catalog.put(&record("local:/a"), Precondition::Absent).await.unwrap();
        assert!(catalog.list().await.unwrap().damaged.is_empty());
    }
}

#[tokio::test]
async fn a_newer_record_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let first = two_records(dir.path()).await;
    let newer =
        fs_err::read_to_string(&first).unwrap().replace("\"schema_version\": 1", "\"schema_version\": 999");
    fs_err::write(&first, newer).unwrap();
    let error = open(dir.path()).get("local:/a").await.unwrap_err();
    assert_eq!(error.kind, CatalogErrorKind::Newer);
    assert!(error.message.contains("schema 999") && error.message.contains("schema 1"), "{error}");
    let listing = open(dir.path()).list().await.unwrap();
    assert!(listing.damaged[0].is_newer && listing.records.len() == 1);
}

#[tokio::test]
async fn only_records_of_this_catalog_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let first = two_records(dir.path()).await;
    let catalog = open(dir.path());
    let at = |location: PathBuf| provisioner_core::DamagedRecord {
        location,
        reason: String::new(),
        is_newer: false,
    };
    let outside = dir.path().join("precious.json");
    fs_err::write(&outside, "x").unwrap();
    assert_eq!(catalog.set_aside(&at(outside.clone())).await.unwrap_err().kind, CatalogErrorKind::Unsafe);
    assert_eq!(catalog.set_aside(&at(first.clone())).await.unwrap_err().kind, CatalogErrorKind::Conflict);
    assert!(outside.exists() && first.exists());
}

#[tokio::test]
async fn a_planted_symlink_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let first = two_records(dir.path()).await;
    let target = dir.path().join("target");
    fs_err::rename(&first, &target).unwrap();
    symlink(&target, &first).unwrap();
    assert_eq!(open(dir.path()).get("local:/a").await.unwrap_err().kind, CatalogErrorKind::Unsafe);
    let lock = first.with_file_name(".lock");
    fs_err::remove_file(&lock).unwrap();
    symlink("/etc/hostname", &lock).unwrap();
    assert_eq!(
        open(dir.path()).put(&record("local:/a"), Precondition::Absent).await.unwrap_err().kind,
        CatalogErrorKind::Unsafe
    );
}

#[tokio::test]
async fn a_held_lock_is_busy_and_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let first = two_records(dir.path()).await;
    let held = durable_fs::lock(&first.with_file_name(".lock"), std::time::Duration::ZERO).unwrap();
    let catalog = FsCatalog::open(dir.path(), Arc::new(Now), std::time::Duration::from_millis(20)).unwrap();
    let found = catalog.get("local:/a").await.unwrap().unwrap();
    let put = || catalog.put(&found.record, Precondition::Version(found.version));
    assert_eq!(put().await.unwrap_err().kind, CatalogErrorKind::Busy);
    drop(held);
    put().await.unwrap();
}

#[tokio::test]
async fn leaves_no_temporary_files() {
    let dir = tempfile::tempdir().unwrap();
    two_records(dir.path()).await;
    let odd: Vec<_> =
        files(dir.path()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect();
    assert_eq!(odd, Vec::<PathBuf>::new());
}

#[tokio::test]
async fn the_old_index_is_imported_once() {
    let dir = tempfile::tempdir().unwrap();
    let hex = "ab".repeat(32);
    let index = serde_json::json!({
        "file:/m/a.gguf": { "id": "file:/m/a.gguf", "local_path": "/m/a.gguf", "lifecycle": "Active",
                            "digest": { "algo": "sha256", "value": hex }, "last_verified_ms": 5 },
        "file:/m/b.gguf": { "id": "file:/m/b.gguf", "local_path": "/m/b.gguf", "lifecycle": "Retired",
                            "digest": null, "last_verified_ms": null },
        "hf:o/r/c.gguf": { "id": "hf:o/r/c.gguf", "local_path": "/cache/c.gguf", "lifecycle": "Active" },
        "file:/m/bad.gguf": { "id": "file:/m/bad.gguf", "local_path": "/m/bad.gguf", "lifecycle": "Unheard of" },
    });
    fs_err::write(dir.path().join("index.json"), index.to_string()).unwrap();
    let catalog = open(dir.path());
    let records: Vec<_> =
        catalog.list().await.unwrap().records.into_iter().map(|found| found.record).collect();
    let ids: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["hf:o/r/c.gguf", "local:/m/a.gguf", "local:/m/b.gguf"]);
    assert_eq!(
        records[1].evidence().map(|(digest, basis)| (digest.hex(), basis)),
        Some((hex, Basis::Pinned))
    );
    assert_eq!(records[2].lifecycle, Lifecycle::Retired);
    assert!(!dir.path().join("index.json").exists());

    let found = catalog.get("local:/m/a.gguf").await.unwrap().unwrap();
    catalog.remove("local:/m/a.gguf", found.version).await.unwrap();
    assert!(open(dir.path()).get("local:/m/a.gguf").await.unwrap().is_none(), "once is once");
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("index.json"), "{\"half").unwrap();
    assert!(open(dir.path()).list().await.unwrap().records.is_empty());
    assert!(dir.path().join("index.json").exists());
}

#[tokio::test]
async fn it_tells_of_its_files_and_of_what_a_dead_writer_left() {
    let cache = tempfile::tempdir().unwrap();
    let catalog = open(cache.path());
    let folder = FsCatalog::folder_in(cache.path());
    assert!(!catalog.exists());
    assert_eq!(catalog.local_files().await.unwrap(), std::slice::from_ref(&folder));
    assert!(catalog.leftovers().await.unwrap().is_empty());
    let first = two_records(cache.path()).await;
    let temporary = first.with_file_name(".x.json.1234.tmp");
    fs_err::write(&temporary, "{").unwrap();
    symlink("/etc", folder.join("elsewhere")).unwrap();
    assert!(catalog.exists());
    let all = catalog.local_files().await.unwrap();
    assert!(all[0] == folder && all.contains(&first) && all.contains(&temporary), "{all:?}");
    let elsewhere = all.iter().filter(|path| path.starts_with(folder.join("elsewhere")));
    assert_eq!(elsewhere.count(), 1, "a symlink is not followed");
    assert_eq!(catalog.leftovers().await.unwrap(), [temporary]);
    assert_eq!(catalog.list().await.unwrap().records.len(), 2);
}
