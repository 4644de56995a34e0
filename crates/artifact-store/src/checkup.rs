//! What is wrong with the store, and mending it.
//!
//! Nothing of a live process is touched, and nothing that another store has a link to. What nobody needs any more is the
//! matter of [`eviction`](crate::eviction).
//!
//! A lock ends with the process that holds it, and its file is no lock: so no lock is ever stale, and no such file is
//! removed.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use provisioner_core::{CatalogRecord, Digest, Stamp};

use crate::{
    Claim, GATE_PATIENCE, Result, Stock, Store,
    census::entries,
    view::{REMOVED, read_seal},
};

/// The mode of a blob that is only ours.
const BLOB_MODE: u32 = 0o444;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Ailment {
    /// What it is.
    pub kind: AilmentKind,
    /// Where.
    pub path: PathBuf,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AilmentKind {
    /// A view has no seal that can be read, and a record that fits it.
    SealLost(Box<CatalogRecord>),
    /// The seal of a view cannot be read, so nothing is known of the view.
    Unreadable(String),
    /// A view has neither a seal that can be read nor a record.
    NobodysView,
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
    /// What is wrong with the store, by these records and what it was found to hold. It may read what was not believed.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn ailments(&self, records: &[CatalogRecord], stock: &Stock) -> Result<Vec<Ailment>> {
        let mut found = Vec::new();
        for unit in &stock.units {
            let is_busy = matches!(unit.claim, Some(Claim::Brought(_)));
            if !unit.is_going && !is_busy {
                let record = records.iter().find(|record| record.root() == unit.root);
                found.extend(self.of_view(&unit.root, record)?);
            }
        }
        for piece in stock.pieces.iter().filter(|piece| piece.is_ours) {
            let Some(blob) = &piece.blob else { continue };
            let Ok(metadata) = fs_err::symlink_metadata(blob) else { continue };
            let mode = metadata.permissions().mode() & 0o7777;
            if mode != BLOB_MODE {
                found.push(Ailment { kind: AilmentKind::BlobMode(mode), path: blob.clone() });
            }
        }
        Ok(found)
    }

    fn of_view(&self, root: &Path, record: Option<&CatalogRecord>) -> Result<Vec<Ailment>> {
        let sealed = match read_seal(root) {
            Err(error) => {
                let kind = AilmentKind::Unreadable(error.to_string());
                return Ok(vec![Ailment { kind, path: root.to_owned() }]);
            }
            sealed => sealed?,
        };
        let kind = match (sealed, record) {
            (Some(_), Some(record)) => return self.of_files(record),
            (Some(sealed), None) => AilmentKind::Unrecorded(Box::new(sealed)),
            (None, Some(record)) => AilmentKind::SealLost(Box::new(record.clone())),
            (None, None) => AilmentKind::NobodysView,
        };
        Ok(vec![Ailment { kind, path: root.to_owned() }])
    }

    fn of_files(&self, record: &CatalogRecord) -> Result<Vec<Ailment>> {
        let mut found = Vec::new();
        for file in &record.files {
            let Some(sha256) = &file.sha256 else { continue };
            let (link, blob) = (record.location(&file.path), self.blob_path(sha256));
            if !link.exists() {
                if self.blob(sha256)?.is_some_and(|blob| file.stamp.difference(&blob.stamp).is_none()) {
                    found.push(Ailment { kind: AilmentKind::LinkLost(sha256.clone()), path: link });
                }
            } else if !blob.exists() && is_unchanged(&link, &file.stamp) {
                found.push(Ailment { kind: AilmentKind::BlobLost(sha256.clone()), path: link });
            }
        }
        Ok(found)
    }

    /// Mends something, and says how; `None` for what is not the store's to mend, or is not wrong any more.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn mend(&self, ailment: &Ailment) -> Result<Option<String>> {
        let path = &ailment.path;
        // Nothing of this is taken away meanwhile.
        let _gate = self.share_gate(GATE_PATIENCE)?;
        let how = match &ailment.kind {
            AilmentKind::SealLost(record) => {
                let fits = |file: &provisioner_core::RecordedFile| {
                    is_unchanged(&record.location(&file.path), &file.stamp)
                };
                if path.join(REMOVED).exists() || !record.files.iter().all(fits) {
                    return Ok(None);
                }
                self.reseal(record)?;
                "sealed again".to_owned()
            }
            // What has folders in it may be above the views of others.
            AilmentKind::NobodysView if *path == self.models() || has_folders(path)? => return Ok(None),
            AilmentKind::NobodysView if self.leased(path, "").is_some() => return Ok(None),
            AilmentKind::NobodysView => format!("moved to `{}`", self.quarantine(path)?.display()),
            AilmentKind::LinkLost(sha256) => link(&self.blob_path(sha256), path)?,
            AilmentKind::BlobLost(sha256) => link(path, &self.blob_path(sha256))?,
            AilmentKind::BlobMode(_) => {
                fs_err::set_permissions(path, PermissionsExt::from_mode(BLOB_MODE))?;
                format!("its mode is {BLOB_MODE:04o} now")
            }
            AilmentKind::Unrecorded(_) | AilmentKind::Unreadable(_) => return Ok(None),
        };
        Ok(Some(how))
    }
}

impl Ailment {
    /// What is wrong, as a fragment.
    pub fn told(&self) -> String {
        let path = self.path.display();
        match &self.kind {
            AilmentKind::SealLost(record) => format!("`{}` has lost its seal in `{path}`", record.id),
            AilmentKind::Unreadable(reason) => format!("the seal of `{path}` cannot be read: {reason}"),
            AilmentKind::NobodysView => {
                format!("`{path}` has neither a seal nor a record, and is no whole model")
            }
            AilmentKind::Unrecorded(record) => {
                format!("`{}` is whole in `{path}`, and not in the catalog", record.id)
            }
            AilmentKind::LinkLost(_) => format!("`{path}` is gone, and its bytes are in the store"),
            AilmentKind::BlobLost(_) => format!("the blob of `{path}` is gone"),
            AilmentKind::BlobMode(mode) => {
                format!("`{path}` has the mode {mode:04o}, and not {BLOB_MODE:04o}")
            }
        }
    }
}

fn is_unchanged(path: &Path, stamp: &Stamp) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| stamp.difference(&Stamp::of(&metadata)).is_none())
}

fn has_folders(folder: &Path) -> Result<bool> {
    Ok(entries(folder)?.iter().any(|path| path.is_dir()))
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
    use super::*;
    use crate::{blob::tests::sha256, view::tests::Bench};

    /// What is found after some harm, and after it was mended.
    fn check(harm: impl FnOnce(&Bench, &Path), told: &str) {
        let bench = Bench::new();
        let record = bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one"), ("b", "two")]));
        let find = || {
            let records = [record.clone()];
            let stock = bench.store.stock(&records, &[]).unwrap();
            bench.store.ailments(&records, &stock).unwrap()
        };
        assert_eq!(find(), []);
        harm(&bench, &record.local_path);
        let found = find();
        assert!(found.len() == 1 && found[0].told().contains(told), "{found:?}");
        assert!(bench.store.mend(&found[0]).unwrap().is_some(), "{told}");
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
    }

    #[test]
    fn a_stray_file_above_views_takes_none_along() {
        let bench = Bench::new();
        let records = [bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]))];
        fs_err::write(bench.store.models().join("hf/README"), "hello").unwrap();
        let stock = bench.store.stock(&records, &[]).unwrap();
        let [found] = &bench.store.ailments(&records, &stock).unwrap()[..] else { panic!("one") };
        assert_eq!((&found.kind, bench.store.mend(found).unwrap()), (&AilmentKind::NobodysView, None));
        assert!(records[0].local_path.exists());
    }

    #[test]
    fn what_is_not_ours_alone_is_left_alone() {
        let bench = Bench::new();
        let records = [bench.commit(&bench.model("hf:org/repo", "abc", &[("a", "one")]))];
        let find = |records: &[CatalogRecord]| {
            let stock = bench.store.stock(records, &[]).unwrap();
            bench.store.ailments(records, &stock).unwrap()
        };
        let blob = bench.store.blob_path(&sha256(b"one"));
        fs_err::hard_link(&blob, bench.dir.path().join("foreign")).unwrap();
        fs_err::set_permissions(&blob, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(find(&records), [], "the mode is another store's");
        let leases = bench.store.root().join("leases");
        fs_err::write(leases.join("key.x"), "{}").unwrap();
        assert_eq!(find(&records), [], "the note of an ended lease goes by itself");
        assert!(matches!(&find(&[])[0].kind, AilmentKind::Unrecorded(record) if **record == records[0]));
        assert_eq!(bench.store.mend(&find(&[])[0]).unwrap(), None, "that is whoever keeps the catalog's");
    }
}
