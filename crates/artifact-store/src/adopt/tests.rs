use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::OnceLock,
    time::{Duration, Instant},
};

use provisioner_core::RelativePath;

use super::*;
use crate::{Blob, Partial, ResumableTransfers, blob::tests::sha256};

const BYTES: &[u8] = b"the bytes";

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
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

    fn take(&self, partial: &Partial, size_bytes: u64, mode: AdoptMode) -> Option<Adopted> {
        let wanted = Wanted { size_bytes, digest: Some(sha256(BYTES)) };
        self.store.take(&partial.file(), &wanted, &self.theirs(), mode, &mut |_| true).unwrap()
    }

    /// A shared blob whose view is not whole yet.
    fn insert(&self) -> Blob {
        let adopted = self.take(&self.partial(), 9, AdoptMode::Link).unwrap();
        assert!(adopted.is_externally_linked && adopted.location.ends_with("linked"));
        self.store.insert_shared(&adopted.location, &adopted.sha256, &adopted.stamp).unwrap()
    }

    /// Links a blob into a folder, and returns the stamp to record.
    fn view(&self, blob: &Blob, go_on: &crate::GoOn<'_>) -> Result<Stamp> {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        fs_err::hard_link(&blob.path, folder.join("a")).unwrap();
        let path = RelativePath::new("a").unwrap();
        Ok(self.store.stamps(&folder, &[(&path, blob.clone())], go_on)?[0])
    }

    /// A shared blob.
    fn adopt(&self) -> Blob {
        let blob = self.insert();
        Blob { stamp: self.view(&blob, &|_| true).unwrap(), ..blob }
    }

    /// The owner of the file writes other bytes, and sets the modification time back.
    fn rewrite(&self) {
        let modified = fs_err::metadata(self.theirs()).unwrap().modified().unwrap();
        fs_err::write(self.theirs(), "the bytEs").unwrap();
        File::options().write(true).open(self.theirs()).unwrap().set_modified(modified).unwrap();
    }
}

#[test]
fn a_link_leaves_the_other_file_as_it_is() {
    let bench = Bench::new();
    let before = fs_err::metadata(bench.theirs()).unwrap();
    let blob = bench.adopt();
    let after = fs_err::metadata(bench.theirs()).unwrap();
    assert_eq!(
        (after.mode(), after.mtime_nsec(), after.ino()),
        (before.mode(), before.mtime_nsec(), blob.stamp.inode)
    );
    assert!(blob.is_externally_linked() && bench.store.is_externally_linked(&blob.sha256));
    assert_eq!(bench.store.blob(&blob.sha256).unwrap(), Some(blob), "and it is believed without being read");
}

#[test]
fn a_copy_is_ours_alone() {
    let bench = Bench::new();
    let adopted = bench.take(&bench.partial(), 9, AdoptMode::Copy).unwrap();
    let blob = bench.store.insert(&adopted.location, &adopted.sha256).unwrap();
    fs_err::write(bench.theirs(), "others").unwrap();
    assert!(!blob.is_externally_linked() && bench.store.blob(&blob.sha256).unwrap().is_some());
    assert_eq!(fs_err::metadata(&blob.path).unwrap().mode() & 0o777, 0o444);
}

#[test]
fn what_is_not_wanted_is_let_go() {
    let bench = Bench::new();
    let partial = bench.partial();
    for mode in [AdoptMode::Link, AdoptMode::Copy] {
        assert_eq!(bench.take(&partial, 8, mode), None, "another size");
        fs_err::write(bench.theirs(), "the bytEs").unwrap();
        assert_eq!(bench.take(&partial, 9, mode), None, "other bytes");
        fs_err::write(bench.theirs(), BYTES).unwrap();
    }
    assert_eq!(bench.take(&partial, 9, AdoptMode::Off), None);
    assert_eq!(fs_err::metadata(bench.theirs()).unwrap().nlink(), 1);
    let wanted = Wanted { size_bytes: 9, digest: None };
    let given_up =
        bench.store.take(&partial.file(), &wanted, &bench.theirs(), AdoptMode::Link, &mut |_| false);
    assert!(matches!(given_up, Err(Error::GivenUp)), "{given_up:?}");
}

#[test]
fn a_shared_blob_that_changed_loses_our_name() {
    let bench = Bench::new();
    let blob = bench.adopt();
    bench.rewrite();
    assert_eq!(bench.store.blob(&blob.sha256).unwrap(), None);
    assert!(!blob.path.exists());
    assert_eq!(fs_err::read(bench.theirs()).unwrap(), b"the bytEs");
}

#[test]
fn what_was_written_before_it_became_a_blob_is_refused() {
    let bench = Bench::new();
    let adopted = bench.take(&bench.partial(), 9, AdoptMode::Link).unwrap();
    fs_err::write(bench.theirs(), "the bytEs").unwrap();
    let refused = bench.store.insert_shared(&adopted.location, &adopted.sha256, &adopted.stamp);
    assert!(matches!(refused, Err(Error::Changed { .. })), "{refused:?}");
    assert!(bench.store.blob(&adopted.sha256).unwrap().is_none());
}

#[test]
fn sharing_is_not_forgotten_with_a_stamp() {
    let bench = Bench::new();
    let blob = bench.adopt();
    bench.store.distrust(&blob.sha256);
    assert!(bench.store.blob(&blob.sha256).unwrap().unwrap().is_externally_linked());
    fs_err::remove_file(blob.path.with_extension("stamp")).unwrap();
    assert!(
        bench.store.blob(&blob.sha256).unwrap().unwrap().is_externally_linked(),
        "the other link may be anybody's"
    );
}

#[test]
fn what_was_written_before_its_last_link_settled_is_refused() {
    let bench = Bench::new();
    let blob = bench.insert();
    bench.rewrite();
    let refused = bench.view(&blob, &|_| true);
    assert!(matches!(refused, Err(Error::Changed { .. })), "{refused:?}");
    assert!(bench.store.blob(&blob.sha256).unwrap().is_none() && !blob.path.exists());
}

#[test]
fn a_blob_without_a_view_is_read_before_it_is_believed() {
    let bench = Bench::new();
    let blob = bench.insert();
    bench.rewrite();
    assert!(
        bench.store.is_externally_linked(&blob.sha256) && bench.store.blob(&blob.sha256).unwrap().is_none()
    );
}

#[test]
fn a_copy_of_a_blob_that_was_rewritten_is_refused() {
    let bench = Bench::new();
    let blob = bench.adopt();
    let folder = tempfile::tempdir_in(bench.dir.path()).unwrap();
    bench.rewrite();
    // As where the file has too many links.
    fs_err::copy(&blob.path, folder.path().join("a")).unwrap();
    let path = RelativePath::new("a").unwrap();
    let refused = bench.store.stamps(folder.path(), &[(&path, blob)], &|_| true);
    assert!(matches!(refused, Err(Error::Changed { .. })), "{refused:?}");
}

/// Two ticks of the slowest kernel: a write in the tick of a stamp can leave the stamp as it is.
const TICKS: Duration = Duration::from_millis(20);

#[test]
fn no_byte_counts_before_the_last_link_has_settled() {
    let bench = Bench::new();
    // Later syncs take no time that could be taken for the waiting.
    fs_err::File::open(bench.theirs()).unwrap().sync_all().unwrap();
    let (partial, began, first_byte) = (bench.partial(), Instant::now(), OnceLock::new());
    let mut watch = |_| first_byte.set(began.elapsed()).map_or(true, |()| true);
    let wanted = Wanted { size_bytes: 9, digest: None };
    let taken = bench.store.take(&partial.file(), &wanted, &bench.theirs(), AdoptMode::Link, &mut watch);
    let adopted = taken.unwrap().unwrap();
    assert!(first_byte.get().is_some_and(|after| *after >= TICKS), "{first_byte:?} after the link");

    let blob = bench.store.insert_shared(&adopted.location, &adopted.sha256, &adopted.stamp).unwrap();
    let (began, first_byte) = (Instant::now(), OnceLock::new());
    bench.view(&blob, &|_| first_byte.set(began.elapsed()).map_or(true, |()| true)).unwrap();
    assert!(first_byte.get().is_some_and(|after| *after >= TICKS), "{first_byte:?} after the view's link");
}

#[test]
fn many_files_settle_together() {
    const MANY: u32 = 100;
    let bench = Bench::new();
    let wanted = Wanted { size_bytes: 9, digest: None };
    let begin = |number: u32| {
        let theirs = bench.dir.path().join(format!("theirs-{number}"));
        fs_err::write(&theirs, BYTES).unwrap();
        let partial =
            bench.store.partial(&format!("{number}"), 0, "model", &ResumableTransfers::default()).unwrap();
        let taking = bench.store.begin_taking(&partial.file(), &wanted, &theirs, AdoptMode::Link);
        (partial, taking.unwrap().unwrap())
    };
    let all: Vec<_> = (0..MANY).map(begin).collect();
    let since = Instant::now();
    for (_partial, taking) in all {
        assert!(bench.store.end_taking(taking, &mut |_| true).unwrap().unwrap().is_externally_linked);
    }
    assert!(since.elapsed() < MANY * TICKS, "{:?}: one after the other", since.elapsed());
}
