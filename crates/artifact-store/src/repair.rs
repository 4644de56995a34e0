//! Finds problems of the store, and repairs them.
//!
//! # One lock
//! A problem that is found while other processes commit and remove may be no more than their work half done. So the caller
//! looks and repairs under one exclusive store lock, and reads the records under it too: then no process commits or removes.
//! A view on which a live process has a lease stays where it is, and the store leaves one alone that a live process makes
//! present.
//!
//! Neither step reads the bytes of a model, for the caller holds the store lock exclusively for moments only. Neither
//! touches a file that another store has a link to. [`EvictionPlan`](crate::EvictionPlan) takes the files that no model
//! needs.
//!
//! # Locks
//! A lock ends with the process that holds it, and a lock file is not a lock. So no lock is ever stale, and the store
//! removes no lock file.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use durable_fs::{entries, paths_in};
use provisioner_core::{CatalogRecord, Digest, RECORD_SCHEMA, RecordedFile, Stamp};

use crate::{
    blobs::stamp::is_ours_alone,
    error::{Error, Result},
    files::look,
    gc::inventory::{Claim, EvictionUnit, StoreInventory},
    layout::{REMOVED, Store},
    locks::store_lock::StoreLock,
    views::seal::{newer_schema, read_seal},
};

/// The mode of a blob that no other tool has.
const BLOB_MODE: u32 = 0o444;

/// Describes a problem of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The kind of the problem.
    pub kind: ProblemKind,
    /// The path of the file or folder with the problem.
    pub path: PathBuf,
}

/// Names a kind of problem.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A view has no readable seal, and a record that fits it.
    SealLost(Box<CatalogRecord>),
    /// The seal of a view cannot be read, so the store cannot tell what the view is.
    Unreadable(String),
    /// A folder has neither a readable seal nor a record, and no folder that may be a view.
    UnknownView,
    /// A file lies among the folders of views, and is a part of no view.
    Stray,
    /// Something other than a regular file has the name of a blob or a lock, so no process can use it.
    NotRegular,
    /// A whole view has no record. This is the record of its seal.
    Unrecorded(Box<CatalogRecord>),
    /// A file of a view is gone, and the blob of these bytes is there.
    LinkLost(Digest),
    /// The blob of these bytes is gone, and a view has the file.
    BlobLost(Digest),
    /// A blob has a mode that lets a user write it, or keeps one from reading it.
    BlobMode(u32),
}

impl Store {
    /// Returns the paths with the name of a file of the store that no process can use. They come before the other problems: a
    /// path with the name of a blob keeps the store from linking the blob again.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn problems_of_names(&self) -> Result<Vec<Problem>> {
        let problem = |path| Problem { kind: ProblemKind::NotRegular, path };
        Ok(self.not_regular()?.into_iter().map(problem).collect())
    }

    /// Returns what is wrong with a view, by the record that names it. A view that a process removes or makes present has no
    /// problem.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn problems_of_view(
        &self,
        view: &EvictionUnit,
        record: Option<&CatalogRecord>,
    ) -> Result<Vec<Problem>> {
        let is_busy = matches!(view.claim.as_deref(), Some(Claim::Staged(_)));
        if view.is_going || is_busy {
            return Ok(Vec::new());
        }
        self.problems_below(&self.models().join(&view.name), record)
    }

    /// Returns what is wrong with the blobs of an inventory.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn problems_of_blobs(&self, inventory: &StoreInventory) -> Result<Vec<Problem>> {
        let mut found = Vec::new();
        let inodes = inventory.blobs.iter().zip(&inventory.inodes);
        for (blob, _) in inodes.filter(|(_, inode)| inode.is_ours) {
            let path = self.blob_path(&blob.digest());
            let Some(metadata) = look(&path)? else { continue };
            let mode = metadata.permissions().mode() & 0o7777;
            // A link that a process is adopting would count as the store's. The mode of such a file is the other tool's.
            if mode != BLOB_MODE && is_ours_alone(&path) {
                found.push(Problem { kind: ProblemKind::BlobMode(mode), path });
            }
        }
        Ok(found)
    }

    /// Returns the paths with the name of a file of the store that are not regular files.
    fn not_regular(&self) -> Result<Vec<PathBuf>> {
        let mut folders = entries(&self.blobs())?;
        folders.extend([self.locks(), self.leases(), self.last_uses()]);
        let mut found = Vec::new();
        for folder in folders {
            let first = found.len();
            for path in paths_in(&folder)? {
                let path = path?;
                if look(&path)?.is_some_and(|metadata| !metadata.is_file()) {
                    found.push(path);
                }
            }
            found[first..].sort_unstable();
        }
        Ok(found)
    }

    /// Returns what is wrong in the folder of a view.
    fn problems_below(&self, root: &Path, record: Option<&CatalogRecord>) -> Result<Vec<Problem>> {
        let unreadable = |reason: String| {
            let kind = ProblemKind::Unreadable(reason);
            Ok(vec![Problem { kind, path: root.to_owned() }])
        };
        let sealed = match (read_seal(root), newer_schema(root)) {
            (Err(error), _) | (_, Err(error)) => return unreadable(error.to_string()),
            (_, Ok(Some(newer))) => {
                return unreadable(format!(
                    "it has schema {newer}, and this release knows schema {RECORD_SCHEMA}"
                ));
            }
            (Ok(sealed), Ok(None)) => sealed,
        };
        let kind = match (sealed, record) {
            (Some(_), Some(record)) => return self.problems_of_files(record),
            (Some(sealed), None) => ProblemKind::Unrecorded(Box::new(sealed)),
            (None, Some(record)) => ProblemKind::SealLost(Box::new(record.clone())),
            (None, None) if look(root)?.is_some_and(|metadata| metadata.is_dir()) => ProblemKind::UnknownView,
            (None, None) => ProblemKind::Stray,
        };
        Ok(vec![Problem { kind, path: root.to_owned() }])
    }

    /// Returns what is wrong with the files of a view.
    fn problems_of_files(&self, record: &CatalogRecord) -> Result<Vec<Problem>> {
        let mut found = Vec::new();
        for file in record.files.iter() {
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

    /// Repairs a problem, under the exclusive store lock under which the caller found it, and says how. Returns `None` for a
    /// problem that the store cannot repair, and for a view that a live process uses.
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
            ProblemKind::UnknownView => match self.block_leases(path, "") {
                Err(Error::Leased { .. }) => return Ok(None),
                blocked => {
                    let _blocked = blocked?;
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
    /// Returns what is wrong, as a fragment.
    pub fn told(&self) -> String {
        let path = self.path.display();
        match &self.kind {
            ProblemKind::SealLost(record) => format!("`{}` has lost its seal in `{path}`", record.id),
            ProblemKind::Unreadable(reason) => format!("the seal of `{path}` cannot be read: {reason}"),
            ProblemKind::UnknownView => {
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

/// Returns whether a file has the stamp that was recorded.
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
    use crate::fixture::{Fixture, sha256};

    /// Returns everything that is wrong with a store.
    fn problems(store: &Store, records: &[CatalogRecord]) -> Vec<Problem> {
        let inventory = store.inventory(records, &[]).unwrap();
        let mut found = store.problems_of_names().unwrap();
        for view in &inventory.views {
            let record = records.iter().find(|record| record.root() == inventory.root_of(view));
            found.extend(store.problems_of_view(view, record).unwrap());
        }
        found.extend(store.problems_of_blobs(&inventory).unwrap());
        found
    }

    /// Harms a store, and compares what is found before and after the repair.
    fn check(harm: impl FnOnce(&Fixture, &Path), told: &str) {
        let fixture = Fixture::new();
        let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one"), ("b", "two")]));
        let find = || problems(&fixture.store, std::slice::from_ref(&record));
        assert_eq!(find(), []);
        harm(&fixture, &record.local_path);
        let found = find();
        assert!(found.len() == 1 && found[0].told().contains(told), "{found:?}");
        let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
        assert!(fixture.store.repair(&store_lock, &found[0]).unwrap().is_some(), "{told}");
        drop(store_lock);
        assert_eq!(find(), [], "{told}");
        for file in record.files.iter() {
            assert!(is_unchanged(&record.location(&file.path), &file.stamp), "{told}");
        }
        assert_eq!(fixture.store.views().unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_found_and_repaired() {
        check(|_, root| fs_err::remove_file(root.join(".model.json")).unwrap(), "has lost its seal");
        check(|_, root| fs_err::write(root.join(".model.json"), "{").unwrap(), "has lost its seal");
        check(|_, root| fs_err::remove_file(root.join("b")).unwrap(), "its bytes are in the store");
        check(
            |fixture, _| fs_err::remove_file(fixture.store.blob_path(&sha256(b"two"))).unwrap(),
            "the blob of",
        );
        let open = |fixture: &Fixture, _: &Path| {
            let blob = fixture.store.blob_path(&sha256(b"one"));
            fs_err::set_permissions(blob, PermissionsExt::from_mode(0o666)).unwrap();
        };
        check(open, "has the mode 0666");
        let strange = |fixture: &Fixture, _: &Path| {
            let strange = fixture.store.models().join("hf/org/other/x/all");
            fs_err::create_dir_all(&strange).unwrap();
            fs_err::write(strange.join("file"), "x").unwrap();
        };
        check(strange, "neither a seal nor a record");
        let elsewhere = |fixture: &Fixture, _: &Path| {
            let blob = fixture.store.blob_path(&sha256(b"orphan"));
            fs_err::create_dir_all(blob.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/elsewhere", blob).unwrap();
        };
        check(elsewhere, "is not a regular file");
    }

    #[test]
    fn a_stray_file_above_views_is_named_itself_and_takes_none_along() {
        let fixture = Fixture::new();
        let records = [fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]))];
        for name in ["README", "hf/notes.txt", "hf/org/repo/x"] {
            let stray = fixture.store.models().join(name);
            fs_err::write(&stray, "hello").unwrap();
            let [found] = &problems(&fixture.store, &records)[..] else { panic!("one") };
            assert_eq!((&found.kind, &found.path), (&ProblemKind::Stray, &stray));
            let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
            assert_eq!(fixture.store.repair(&store_lock, found).unwrap(), None);
            assert!(records[0].local_path.exists());
            fs_err::remove_file(stray).unwrap();
        }
    }

    #[test]
    fn a_view_of_a_newer_release_is_told_and_left_alone() {
        let fixture = Fixture::new();
        let record = fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]));
        let seal = record.local_path.join(".model.json");
        let newer = fs_err::read_to_string(&seal).unwrap().replace("version\": 1", "version\": 999");
        fs_err::write(&seal, newer).unwrap();
        for records in [&[][..], std::slice::from_ref(&record)] {
            let inventory = fixture.store.inventory(records, &[]).unwrap();
            let [found] = &problems(&fixture.store, records)[..] else { panic!("one") };
            assert!(found.told().contains("schema 999, and this release knows schema 1"), "{found:?}");
            let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
            assert_eq!(fixture.store.repair(&store_lock, found).unwrap(), None);
            let claim = records.is_empty().then_some(Claim::Unsealed);
            assert_eq!(inventory.views[0].claim.as_deref(), claim.as_ref(), "its record says what it is");
        }
    }

    #[test]
    fn what_is_leased_is_not_moved() {
        let fixture = Fixture::new();
        let root = fixture.store.models().join("hf/org/other/x/all");
        fs_err::create_dir_all(&root).unwrap();
        fs_err::write(root.join("file"), "x").unwrap();
        let lease = fixture.store.lease(&root, "hf:org/other", Duration::ZERO).unwrap();
        let [found] = &problems(&fixture.store, &[])[..] else { panic!("one") };
        let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
        assert_eq!(
            (&found.kind, fixture.store.repair(&store_lock, found).unwrap()),
            (&ProblemKind::UnknownView, None)
        );
        drop(lease);
        assert!(fixture.store.repair(&store_lock, found).unwrap().is_some() && !root.exists());
    }

    #[test]
    fn what_is_not_ours_alone_is_left_alone() {
        let fixture = Fixture::new();
        let records = [fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]))];
        let find = |records: &[CatalogRecord]| problems(&fixture.store, records);
        let blob = fixture.store.blob_path(&sha256(b"one"));
        fs_err::hard_link(&blob, fixture.dir.path().join("foreign")).unwrap();
        fs_err::set_permissions(&blob, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(find(&records), [], "the mode is another store's");
        let leases = fixture.store.root().join("leases");
        fs_err::write(leases.join("key.x"), "{}").unwrap();
        assert_eq!(find(&records), [], "the note of an ended lease goes by itself");
        assert!(matches!(&find(&[])[0].kind, ProblemKind::Unrecorded(record) if **record == records[0]));
        let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
        let found = find(&[]);
        assert_eq!(
            fixture.store.repair(&store_lock, &found[0]).unwrap(),
            None,
            "the keeper of the catalog repairs that"
        );
    }

    #[test]
    fn the_mode_of_a_link_is_the_other_tools_though_all_links_that_are_seen_are_ours() {
        let fixture = Fixture::new();
        let records = [fixture.commit(&fixture.model("hf:org/repo", "abc", &[("a", "one")]))];
        let blob = fixture.store.blob_path(&sha256(b"one"));
        fs_err::set_permissions(&blob, PermissionsExt::from_mode(0o664)).unwrap();
        let find = || problems(&fixture.store, &records);
        let [ours] = &find()[..] else { panic!("one: {:?}", find()) };
        // The stamp of a link to another tool's file is recorded like this, from the moment that it has a blob's name.
        fixture.store.record_stamp(&blob, Stamp::of(&fs_err::metadata(&blob).unwrap())).unwrap();
        assert_eq!(find(), []);
        let store_lock = fixture.store.lock_exclusive(Duration::ZERO).unwrap();
        assert_eq!(fixture.store.repair(&store_lock, ours).unwrap(), None);
        assert_eq!(fs_err::metadata(&blob).unwrap().permissions().mode() & 0o777, 0o664);
    }
}
