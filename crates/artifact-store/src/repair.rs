//! What is wrong with the store, and mending it.
//!
//! # Two looks
//! What is found while others put models in and take them away may be no more than their work half done. So the look and the
//! mending both belong under one exclusive store lock, with the records that were read behind it too; then no commit is under way,
//! and no removal. What a live process has a lease on keeps its place, and what one is making present is passed over.
//!
//! Neither reads the bytes of a model: the store lock is closed for moments. Nothing that another store has a link to is touched.
//! What nobody needs any more is the matter of [`eviction`](crate::eviction).
//!
//! # Locks
//! A lock ends with the process that holds it, and its file is no lock: so no lock is ever stale, and no such file is
//! removed.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use provisioner_core::{CatalogRecord, Digest, RecordedFile, Stamp};

use crate::{
    Claim, Error, Result, Store, StoreInventory, StoreLock,
    blob::is_ours_alone,
    scan::{entries, look},
    view::{REMOVED, read_seal},
};

/// The mode of a blob that is only ours.
const BLOB_MODE: u32 = 0o444;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What it is.
    pub kind: ProblemKind,
    /// Where.
    pub path: PathBuf,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A view has no seal that can be read, and a record that fits it.
    SealLost(Box<CatalogRecord>),
    /// The seal of a view cannot be read, so nothing is known of the view.
    Unreadable(String),
    /// A folder has neither a seal that can be read nor a record, and no folder that may be a view.
    NobodysView,
    /// A file lies among the folders of views, and is a part of none.
    Stray,
    /// Where a blob or a lock belongs, there is something other than a regular file; so nobody can use it.
    NotRegular,
    /// A whole view has no record; this is the one of its seal.
    Unrecorded(Box<CatalogRecord>),
    /// A file of a view is gone, and the blob of these bytes is there.
    LinkLost(Digest),
    /// The blob of these bytes is gone, and a view has the file.
    BlobLost(Digest),
    /// A blob can be written, or not be read, by somebody.
    BlobMode(u32),
}

impl Store {
    /// Returns what is wrong with the store, by these records and what it was found to hold.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn problems(&self, records: &[CatalogRecord], inventory: &StoreInventory) -> Result<Vec<Problem>> {
        // First, for what has the place of a blob keeps it from being linked again.
        let mut found: Vec<_> = self
            .not_regular()?
            .into_iter()
            .map(|path| Problem { kind: ProblemKind::NotRegular, path })
            .collect();
        for unit in &inventory.units {
            let is_busy = matches!(unit.claim, Some(Claim::Brought(_)));
            if !unit.is_going && !is_busy {
                let record = records.iter().find(|record| record.root() == unit.root);
                found.extend(self.of_view(&unit.root, record)?);
            }
        }
        for inode in inventory.inodes.iter().filter(|inode| inode.is_ours) {
            let Some(blob) = &inode.blob else { continue };
            let Some(metadata) = look(blob)? else { continue };
            let mode = metadata.permissions().mode() & 0o7777;
            // A link that is being taken in would count as ours; the mode of a shared file is its owner's.
            if mode != BLOB_MODE && is_ours_alone(blob) {
                found.push(Problem { kind: ProblemKind::BlobMode(mode), path: blob.clone() });
            }
        }
        Ok(found)
    }

    /// What has the name of a file of ours, and is not a regular file.
    fn not_regular(&self) -> Result<Vec<PathBuf>> {
        let mut folders = entries(&self.root().join("blobs/sha256"))?;
        folders.extend(["locks", "leases", "used"].map(|name| self.root().join(name)));
        let mut found = Vec::new();
        for path in folders.iter().map(|folder| entries(folder)).collect::<Result<Vec<_>>>()?.concat() {
            if look(&path)?.is_some_and(|metadata| !metadata.is_file()) {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn of_view(&self, root: &Path, record: Option<&CatalogRecord>) -> Result<Vec<Problem>> {
        let sealed = match read_seal(root) {
            Err(error) => {
                let kind = ProblemKind::Unreadable(error.to_string());
                return Ok(vec![Problem { kind, path: root.to_owned() }]);
            }
            sealed => sealed?,
        };
        let kind = match (sealed, record) {
            (Some(_), Some(record)) => return self.of_files(record),
            (Some(sealed), None) => ProblemKind::Unrecorded(Box::new(sealed)),
            (None, Some(record)) => ProblemKind::SealLost(Box::new(record.clone())),
            (None, None) if look(root)?.is_some_and(|metadata| metadata.is_dir()) => ProblemKind::NobodysView,
            (None, None) => ProblemKind::Stray,
        };
        Ok(vec![Problem { kind, path: root.to_owned() }])
    }

    fn of_files(&self, record: &CatalogRecord) -> Result<Vec<Problem>> {
        let mut found = Vec::new();
        for file in &record.files {
            let Some(sha256) = &file.sha256 else { continue };
            let (path, blob) = (record.location(&file.path), self.blob_path(sha256));
            if look(&path)?.is_none() {
                if is_unchanged(&blob, &file.stamp) {
                    found.push(Problem { kind: ProblemKind::LinkLost(sha256.clone()), path });
                }
            } else if !look(&blob)?.is_some_and(|metadata| metadata.is_file())
                && is_unchanged(&path, &file.stamp)
            {
                found.push(Problem { kind: ProblemKind::BlobLost(sha256.clone()), path });
            }
        }
        Ok(found)
    }

    /// Mends something, under the exclusive store lock behind which it was found, and says how; `None` for what is not the store's to
    /// mend, and for what a live process uses.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn repair(&self, _lock: &StoreLock, problem: &Problem) -> Result<Option<String>> {
        let path = &problem.path;
        let how = match &problem.kind {
            ProblemKind::SealLost(record) => {
                let fits = |file: &RecordedFile| is_unchanged(&record.location(&file.path), &file.stamp);
                if path.join(REMOVED).exists() || !record.files.iter().all(fits) {
                    return Ok(None);
                }
                self.reseal(record)?;
                "sealed again".to_owned()
            }
            ProblemKind::NobodysView => match self.block_leases(path, "") {
                Err(Error::Leased { .. }) => return Ok(None),
                excluded => {
                    let _alone = excluded?;
                    format!("moved to `{}`", self.quarantine(path)?.display())
                }
            },
            ProblemKind::NotRegular => format!("moved to `{}`", self.quarantine(path)?.display()),
            ProblemKind::LinkLost(sha256) => link(&self.blob_path(sha256), path)?,
            ProblemKind::BlobLost(sha256) => link(path, &self.blob_path(sha256))?,
            ProblemKind::BlobMode(_) if !is_ours_alone(path) => return Ok(None),
            ProblemKind::BlobMode(_) => {
                fs_err::set_permissions(path, PermissionsExt::from_mode(BLOB_MODE))?;
                format!("its mode is {BLOB_MODE:04o} now")
            }
            ProblemKind::Unrecorded(_) | ProblemKind::Unreadable(_) | ProblemKind::Stray => return Ok(None),
        };
        Ok(Some(how))
    }
}

impl Problem {
    /// What is wrong, as a fragment.
    pub fn told(&self) -> String {
        let path = self.path.display();
        match &self.kind {
            ProblemKind::SealLost(record) => format!("`{}` has lost its seal in `{path}`", record.id),
            ProblemKind::Unreadable(reason) => format!("the seal of `{path}` cannot be read: {reason}"),
            ProblemKind::NobodysView => {
                format!("`{path}` has neither a seal nor a record, and is no whole model")
            }
            ProblemKind::Stray => format!("`{path}` is not a part of any model"),
            ProblemKind::NotRegular => {
                format!("`{path}` is not a regular file, so nothing can be kept there")
            }
            ProblemKind::Unrecorded(record) => {
                format!("`{}` is whole in `{path}`, and not in the catalog", record.id)
            }
            ProblemKind::LinkLost(_) => format!("`{path}` is gone, and its bytes are in the store"),
            ProblemKind::BlobLost(_) => format!("the blob of `{path}` is gone"),
            ProblemKind::BlobMode(mode) => {
                format!("`{path}` has the mode {mode:04o}, and not {BLOB_MODE:04o}")
            }
        }
    }
}

fn is_unchanged(path: &Path, stamp: &Stamp) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| stamp.difference(&Stamp::of(&metadata)).is_none())
}

/// Gives a file another name, durably.
fn link(from: &Path, to: &Path) -> Result<String> {
    let folder = to.parent().unwrap_or(to);
    durable_fs::create_folders(folder)?;
    match fs_err::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => durable_fs::sync_folder(folder)?,
    }
    Ok("linked again".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{blob::tests::sha256, view::tests::Bench};

    /// What is found after some harm, and after it was mended.
    fn check(harm: impl FnOnce(&Bench, &Path), told: &str) {
        let bench = Bench::new();
        let record = bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one"), ("b", "two")]));
        let find = || {
            let records = [record.clone()];
            let inventory = bench.store.inventory(&records, &[]).unwrap();
            bench.store.problems(&records, &inventory).unwrap()
        };
        assert_eq!(find(), []);
        harm(&bench, &record.local_path);
        let found = find();
        assert!(found.len() == 1 && found[0].told().contains(told), "{found:?}");
        let store_lock = bench.store.lock_exclusive(Duration::ZERO).unwrap();
        assert!(bench.store.repair(&store_lock, &found[0]).unwrap().is_some(), "{told}");
        drop(store_lock);
        assert_eq!(find(), [], "{told}");
        for file in &record.files {
            assert!(is_unchanged(&record.location(&file.path), &file.stamp), "{told}");
        }
        assert_eq!(bench.store.views().unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_found_and_mended() {
        check(|_, root| fs_err::remove_file(root.join(".model.json")).unwrap(), "has lost its seal");
        check(|_, root| fs_err::write(root.join(".model.json"), "{").unwrap(), "has lost its seal");
        check(|_, root| fs_err::remove_file(root.join("b")).unwrap(), "its bytes are in the store");
        check(|bench, _| fs_err::remove_file(bench.store.blob_path(&sha256(b"two"))).unwrap(), "the blob of");
        let open = |bench: &Bench, _: &Path| {
            let blob = bench.store.blob_path(&sha256(b"one"));
            fs_err::set_permissions(blob, PermissionsExt::from_mode(0o666)).unwrap();
        };
        check(open, "has the mode 0666");
        let strange = |bench: &Bench, _: &Path| {
            let strange = bench.store.models().join("hf/org/other/x/all");
            fs_err::create_dir_all(&strange).unwrap();
            fs_err::write(strange.join("file"), "x").unwrap();
        };
        check(strange, "neither a seal nor a record");
        let elsewhere = |bench: &Bench, _: &Path| {
            let blob = bench.store.blob_path(&sha256(b"orphan"));
            fs_err::create_dir_all(blob.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/elsewhere", blob).unwrap();
        };
        check(elsewhere, "is not a regular file");
    }

    #[test]
    fn a_stray_file_above_views_is_named_itself_and_takes_none_along() {
        let bench = Bench::new();
        let records = [bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]))];
        for place in ["README", "hf/notes.txt", "hf/org/repo/x"] {
            let stray = bench.store.models().join(place);
            fs_err::write(&stray, "hello").unwrap();
            let inventory = bench.store.inventory(&records, &[]).unwrap();
            let [found] = &bench.store.problems(&records, &inventory).unwrap()[..] else { panic!("one") };
            assert_eq!((&found.kind, &found.path), (&ProblemKind::Stray, &stray));
            let store_lock = bench.store.lock_exclusive(Duration::ZERO).unwrap();
            assert_eq!(bench.store.repair(&store_lock, found).unwrap(), None);
            assert!(records[0].local_path.exists());
            fs_err::remove_file(stray).unwrap();
        }
    }

    #[test]
    fn what_is_leased_is_not_moved() {
        let bench = Bench::new();
        let root = bench.store.models().join("hf/org/other/x/all");
        fs_err::create_dir_all(&root).unwrap();
        fs_err::write(root.join("file"), "x").unwrap();
        let lease = bench.store.lease(&root, "hf:org/other", Duration::ZERO).unwrap();
        let inventory = bench.store.inventory(&[], &[]).unwrap();
        let [found] = &bench.store.problems(&[], &inventory).unwrap()[..] else { panic!("one") };
        let store_lock = bench.store.lock_exclusive(Duration::ZERO).unwrap();
        assert_eq!(
            (&found.kind, bench.store.repair(&store_lock, found).unwrap()),
            (&ProblemKind::NobodysView, None)
        );
        drop(lease);
        assert!(bench.store.repair(&store_lock, found).unwrap().is_some() && !root.exists());
    }

    #[test]
    fn what_is_not_ours_alone_is_left_alone() {
        let bench = Bench::new();
        let records = [bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]))];
        let find = |records: &[CatalogRecord]| {
            let inventory = bench.store.inventory(records, &[]).unwrap();
            bench.store.problems(records, &inventory).unwrap()
        };
        let blob = bench.store.blob_path(&sha256(b"one"));
        fs_err::hard_link(&blob, bench.dir.path().join("foreign")).unwrap();
        fs_err::set_permissions(&blob, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(find(&records), [], "the mode is another store's");
        let leases = bench.store.root().join("leases");
        fs_err::write(leases.join("key.x"), "{}").unwrap();
        assert_eq!(find(&records), [], "the note of an ended lease goes by itself");
        assert!(matches!(&find(&[])[0].kind, ProblemKind::Unrecorded(record) if **record == records[0]));
        let store_lock = bench.store.lock_exclusive(Duration::ZERO).unwrap();
        let found = find(&[]);
        assert_eq!(
            bench.store.repair(&store_lock, &found[0]).unwrap(),
            None,
            "that is whoever keeps the catalog's"
        );
    }

    #[test]
    fn the_mode_of_a_shared_file_is_its_owners_though_all_links_that_are_seen_are_ours() {
        let bench = Bench::new();
        let records = [bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]))];
        let blob = bench.store.blob_path(&sha256(b"one"));
        fs_err::set_permissions(&blob, PermissionsExt::from_mode(0o664)).unwrap();
        let find = || {
            let inventory = bench.store.inventory(&records, &[]).unwrap();
            bench.store.problems(&records, &inventory).unwrap()
        };
        let [ours] = &find()[..] else { panic!("one: {:?}", find()) };
        // As a link of another owner's file is recorded, from the moment that it has a blob's name.
        bench.store.record_stamp(&blob, Stamp::of(&fs_err::metadata(&blob).unwrap())).unwrap();
        assert_eq!(find(), []);
        let store_lock = bench.store.lock_exclusive(Duration::ZERO).unwrap();
        assert_eq!(bench.store.repair(&store_lock, ours).unwrap(), None);
        assert_eq!(fs_err::metadata(&blob).unwrap().permissions().mode() & 0o777, 0o664);
    }
}
