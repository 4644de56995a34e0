use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::{LeftPartials, Partial, blob::tests::sha256};

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
        self.store.partial("adopt", 0, "model", &LeftPartials::default()).unwrap()
    }

    fn take(&self, partial: &Partial, size_bytes: u64, mode: AdoptMode) -> Option<Adopted> {
        let wanted = Wanted { size_bytes, digest: Some(sha256(BYTES)) };
        self.store.take(&partial.slot(), &wanted, &self.theirs(), mode, &mut |_| true).unwrap()
    }

    /// A shared blob.
    fn adopt(&self) -> crate::Blob {
        let adopted = self.take(&self.partial(), 9, AdoptMode::Link).unwrap();
        assert!(adopted.is_shared && adopted.location.ends_with("linked"));
        self.store.insert_shared(&adopted.location, &adopted.sha256, &adopted.stamp).unwrap()
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
    assert!(blob.is_shared() && bench.store.is_shared(&blob.sha256));
    assert_eq!(bench.store.blob(&blob.sha256).unwrap(), Some(blob), "and it is believed without being read");
}

#[test]
fn a_copy_is_ours_alone() {
    let bench = Bench::new();
    let adopted = bench.take(&bench.partial(), 9, AdoptMode::Copy).unwrap();
    let blob = bench.store.insert(&adopted.location, &adopted.sha256).unwrap();
    fs_err::write(bench.theirs(), "others").unwrap();
    assert!(!blob.is_shared() && bench.store.blob(&blob.sha256).unwrap().is_some());
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
        bench.store.take(&partial.slot(), &wanted, &bench.theirs(), AdoptMode::Link, &mut |_| false);
    assert!(matches!(given_up, Err(Error::GivenUp)), "{given_up:?}");
}

#[test]
fn a_shared_blob_that_changed_loses_our_name() {
    let bench = Bench::new();
    let blob = bench.adopt();
    let modified = fs_err::metadata(bench.theirs()).unwrap().modified().unwrap();
    settle();
    fs_err::write(bench.theirs(), "the bytEs").unwrap();
    File::options().write(true).open(bench.theirs()).unwrap().set_modified(modified).unwrap();
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
    assert!(bench.store.blob(&blob.sha256).unwrap().unwrap().is_shared());
    fs_err::remove_file(blob.path.with_extension("stamp")).unwrap();
    assert!(bench.store.blob(&blob.sha256).unwrap().unwrap().is_shared(), "the other link may be anybody's");
}
