use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::OnceLock,
    time::{Duration, Instant},
};

use file_hashing::SharedWatch;
use provisioner_core::RelativePath;

use super::*;
use crate::{
    blobs::blob::Blob,
    fixture::sha256,
    staging::{partial::Partial, resumable::ResumableTransfers},
};

const BYTES: &[u8] = b"the bytes";

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store-v1"));
        fs_err::write(dir.path().join("theirs"), BYTES).unwrap();
        fs_err::set_permissions(dir.path().join("theirs"), PermissionsExt::from_mode(0o664)).unwrap();
        Self { dir, store }
    }

    fn theirs(&self) -> PathBuf {
        self.dir.path().join("theirs")
    }

    fn partial(&self) -> Partial {
        self.store.partial("adopt", 0, "model", &ResumableTransfers::default()).unwrap()
    }

    fn take_in(&self, partial: &Partial, size_bytes: u64, mode: AdoptMode) -> Option<AdoptedFile> {
        let target = AdoptionTarget { size_bytes, digest: Some(sha256(BYTES)) };
        self.store.adopt(&partial.file(), &target, &self.theirs(), mode, &mut |_| true).unwrap()
    }

    /// Makes an externally linked blob whose view is not whole yet.
    fn insert(&self) -> Blob {
        let adopted = self.take_in(&self.partial(), 9, AdoptMode::Link).unwrap();
        assert!(adopted.is_externally_linked && adopted.location.ends_with("linked"));
        self.store.insert_link(&adopted.location, &adopted.sha256, &adopted.stamp).unwrap()
    }

    /// Links a blob into a folder, and returns the stamp to record.
    fn view(&self, blob: &Blob, watch: &SharedWatch<'_>) -> Result<Stamp> {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        fs_err::hard_link(&blob.path, folder.join("a")).unwrap();
        let path = RelativePath::new("a").unwrap();
        Ok(self.store.stamps(&folder, &[(&path, blob.clone())], watch)?[0])
    }

    /// Makes an externally linked blob.
    fn adopt(&self) -> Blob {
        let blob = self.insert();
        Blob { stamp: self.view(&blob, &|_| true).unwrap(), ..blob }
    }

    /// Writes other bytes, and sets the modification time back, as the other tool may.
    fn rewrite(&self) {
        let modified = fs_err::metadata(self.theirs()).unwrap().modified().unwrap();
        fs_err::write(self.theirs(), "the bytEs").unwrap();
        File::options().write(true).open(self.theirs()).unwrap().set_modified(modified).unwrap();
    }
}

#[test]
fn a_link_leaves_the_other_file_as_it_is() {
    let fixture = Fixture::new();
    let before = fs_err::metadata(fixture.theirs()).unwrap();
    let blob = fixture.adopt();
    let after = fs_err::metadata(fixture.theirs()).unwrap();
    assert_eq!(
        (after.mode(), after.mtime_nsec(), after.ino()),
        (before.mode(), before.mtime_nsec(), blob.stamp.inode)
    );
    assert!(blob.is_externally_linked() && fixture.store.is_externally_linked(&blob.sha256));
    assert_eq!(
        fixture.store.blob(&blob.sha256).unwrap(),
        Some(blob),
        "and it is believed without being read"
    );
}

#[test]
fn a_copy_is_ours_alone() {
    let fixture = Fixture::new();
    let adopted = fixture.take_in(&fixture.partial(), 9, AdoptMode::Copy).unwrap();
    let blob = fixture.store.insert(&adopted.location, &adopted.sha256).unwrap();
    fs_err::write(fixture.theirs(), "others").unwrap();
    assert!(!blob.is_externally_linked() && fixture.store.blob(&blob.sha256).unwrap().is_some());
    assert_eq!(fs_err::metadata(&blob.path).unwrap().mode() & 0o777, 0o444);
}

#[test]
fn what_is_not_wanted_is_let_go() {
    let fixture = Fixture::new();
    let partial = fixture.partial();
    for mode in [AdoptMode::Link, AdoptMode::Copy] {
        assert_eq!(fixture.take_in(&partial, 8, mode), None, "another size");
        fs_err::write(fixture.theirs(), "the bytEs").unwrap();
        assert_eq!(fixture.take_in(&partial, 9, mode), None, "other bytes");
        fs_err::write(fixture.theirs(), BYTES).unwrap();
    }
    assert_eq!(fixture.take_in(&partial, 9, AdoptMode::Off), None);
    assert_eq!(fs_err::metadata(fixture.theirs()).unwrap().nlink(), 1);
    let target = AdoptionTarget { size_bytes: 9, digest: None };
    let cancelled =
        fixture.store.adopt(&partial.file(), &target, &fixture.theirs(), AdoptMode::Link, &mut |_| false);
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
}

#[test]
fn a_shared_blob_that_changed_loses_our_name() {
    let fixture = Fixture::new();
    let blob = fixture.adopt();
    fixture.rewrite();
    assert_eq!(fixture.store.blob(&blob.sha256).unwrap(), None);
    assert!(!blob.path.exists());
    assert_eq!(fs_err::read(fixture.theirs()).unwrap(), b"the bytEs");
}

#[test]
fn what_was_written_before_it_became_a_blob_is_refused() {
    let fixture = Fixture::new();
    let adopted = fixture.take_in(&fixture.partial(), 9, AdoptMode::Link).unwrap();
    fs_err::write(fixture.theirs(), "the bytEs").unwrap();
    let refused = fixture.store.insert_link(&adopted.location, &adopted.sha256, &adopted.stamp);
    assert!(matches!(refused, Err(Error::Changed { .. })), "{refused:?}");
    assert!(fixture.store.blob(&adopted.sha256).unwrap().is_none());
}

#[test]
fn sharing_is_not_forgotten_with_a_stamp() {
    let fixture = Fixture::new();
    let blob = fixture.adopt();
    fixture.store.distrust(&blob.sha256);
    assert!(fixture.store.blob(&blob.sha256).unwrap().unwrap().is_externally_linked());
    fs_err::remove_file(blob.path.with_extension("stamp")).unwrap();
    assert!(
        fixture.store.blob(&blob.sha256).unwrap().unwrap().is_externally_linked(),
        "any program may have the other link"
    );
}

#[test]
fn what_was_written_before_its_last_link_settled_is_refused() {
    let fixture = Fixture::new();
    let blob = fixture.insert();
    fixture.rewrite();
    let refused = fixture.view(&blob, &|_| true);
    assert!(matches!(refused, Err(Error::Changed { .. })), "{refused:?}");
    assert!(fixture.store.blob(&blob.sha256).unwrap().is_none() && !blob.path.exists());
}

#[test]
fn a_blob_without_a_view_is_read_before_it_is_believed() {
    let fixture = Fixture::new();
    let blob = fixture.insert();
    fixture.rewrite();
    assert!(
        fixture.store.is_externally_linked(&blob.sha256)
            && fixture.store.blob(&blob.sha256).unwrap().is_none()
    );
}

#[test]
fn a_copy_of_a_blob_that_was_rewritten_is_refused() {
    let fixture = Fixture::new();
    let blob = fixture.adopt();
    let folder = tempfile::tempdir_in(fixture.dir.path()).unwrap();
    fixture.rewrite();
    // As where the file has too many links.
    fs_err::copy(&blob.path, folder.path().join("a")).unwrap();
    let path = RelativePath::new("a").unwrap();
    let refused = fixture.store.stamps(folder.path(), &[(&path, blob)], &|_| true);
    assert!(matches!(refused, Err(Error::Changed { .. })), "{refused:?}");
}

/// Two ticks of the slowest kernel: a write in the tick of a stamp can leave the stamp as it is.
const TICKS: Duration = Duration::from_millis(20);

#[test]
fn no_byte_counts_before_the_last_link_has_settled() {
    let fixture = Fixture::new();
    // Later syncs take no time that could be taken for the waiting.
    fs_err::File::open(fixture.theirs()).unwrap().sync_all().unwrap();
    let (partial, began, first_byte) = (fixture.partial(), Instant::now(), OnceLock::new());
    let mut watch = |_| first_byte.set(began.elapsed()).map_or(true, |()| true);
    let target = AdoptionTarget { size_bytes: 9, digest: None };
    let taken = fixture.store.adopt(&partial.file(), &target, &fixture.theirs(), AdoptMode::Link, &mut watch);
    let adopted = taken.unwrap().unwrap();
    assert!(first_byte.get().is_some_and(|after| *after >= TICKS), "{first_byte:?} after the link");

    let blob = fixture.store.insert_link(&adopted.location, &adopted.sha256, &adopted.stamp).unwrap();
    let (began, first_byte) = (Instant::now(), OnceLock::new());
    fixture.view(&blob, &|_| first_byte.set(began.elapsed()).map_or(true, |()| true)).unwrap();
    assert!(first_byte.get().is_some_and(|after| *after >= TICKS), "{first_byte:?} after the view's link");
}

#[test]
fn many_files_settle_together() {
    const MANY: u32 = 100;
    let fixture = Fixture::new();
    let target = AdoptionTarget { size_bytes: 9, digest: None };
    let begin = |number: u32| {
        let theirs = fixture.dir.path().join(format!("theirs-{number}"));
        fs_err::write(&theirs, BYTES).unwrap();
        let partial =
            fixture.store.partial(&format!("{number}"), 0, "model", &ResumableTransfers::default()).unwrap();
        let begun = fixture.store.begin_adoption(&partial.file(), &target, &theirs, AdoptMode::Link);
        (partial, begun.unwrap().unwrap())
    };
    let all: Vec<_> = (0..MANY).map(begin).collect();
    let since = Instant::now();
    for (_partial, begun) in all {
        assert!(fixture.store.finish_adoption(begun, &mut |_| true).unwrap().unwrap().is_externally_linked);
    }
    assert!(since.elapsed() < MANY * TICKS, "{:?}: one after the other", since.elapsed());
}
