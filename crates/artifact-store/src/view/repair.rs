//! Mending a view where it lies.
//!
//! A live process may use the view, and may have just been given its path. So its folder never moves: what is wrong is replaced
//! file by file, each in one step, and what has the right bytes stays, whatever its times say.

use std::{collections::BTreeSet, io, path::Path};

use provisioner_core::{CatalogRecord, RecordedFile, RelativePath, Stamp};

use super::{build, open_to_readers, read_seal};
use crate::{Blob, Error, GoOn, Result, Store, blob, reading};

impl Store {
    /// Makes the view at a place one of these blobs, and returns its record; `None` where there is none. A live process may use
    /// that view. So its folder stays, and so does every file that has the right bytes; another one is replaced in one step.
    pub(super) fn repair_view(
        &self,
        root: &Path,
        aside: &Path,
        blobs: &[(&RelativePath, Blob)],
        record_of: &dyn Fn(Vec<Stamp>) -> CatalogRecord,
        go_on: &GoOn<'_>,
    ) -> Result<Option<CatalogRecord>> {
        let sealed = read_seal(root)?;
        if let Some(sealed) = &sealed {
            let theirs = sealed.files.iter().map(|file| (&file.path, file.sha256.as_ref()));
            if !theirs.eq(blobs.iter().map(|(path, blob)| (*path, Some(&blob.sha256)))) {
                self.displace(root, &sealed.id)?;
                return Ok(None);
            }
        } else if fs_err::symlink_metadata(root).is_ok_and(|metadata| !metadata.is_dir()) {
            self.quarantine(root)?;
        }
        if !root.exists() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        for (path, blob) in blobs {
            let recorded = sealed.iter().flat_map(|sealed| &sealed.files).find(|file| file.path == **path);
            if !has_bytes(&root.join(path), blob, recorded)? {
                wrong.push((*path, blob.clone()));
            }
        }
        if !wrong.is_empty() {
            self.replace(root, aside, &wrong)?;
        }
        let record = record_of(self.stamps(root, blobs, go_on)?);
        if sealed.is_none() {
            self.reseal(&record)?;
            open_to_readers(root)?;
            self.prepare_lease(root);
        }
        Ok(Some(record))
    }

    /// Puts blobs in the places of wrong files of a view.
    fn replace(&self, root: &Path, aside: &Path, wrong: &[(&RelativePath, Blob)]) -> Result<()> {
        build(aside, wrong)?;
        let mut folders = BTreeSet::new();
        for (path, _) in wrong {
            let place = root.join(path);
            let folder = place.parent().unwrap_or(root);
            durable_fs::create_folders(folder)?;
            if place.is_dir() {
                self.quarantine(&place)?;
            }
            tracing::warn!("`{}` is linked again", place.display());
            fs_err::rename(aside.join(path), &place)?;
            folders.insert(folder.to_owned());
        }
        folders.iter().try_for_each(|folder| durable_fs::sync_folder(folder))?;
        Ok(())
    }

    /// Moves a view of other files out of the way, unless a live process uses it.
    fn displace(&self, root: &Path, id: &str) -> Result<()> {
        match self.block_leases(root, id) {
            // Where locks lie, a lease means nothing.
            Err(Error::Doubtful { .. }) => drop(self.quarantine(root)?),
            excluded => {
                let _alone = excluded?;
                self.quarantine(root)?;
            }
        }
        Ok(())
    }
}

/// Whether a file of a view has the bytes of a blob: as a link to it, as its seal says, or by a look at them.
fn has_bytes(place: &Path, blob: &Blob, recorded: Option<&RecordedFile>) -> Result<bool> {
    let now = match fs_err::symlink_metadata(place) {
        Ok(metadata) if metadata.is_file() => Stamp::of(&metadata),
        Ok(_) => return Ok(false),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    // A link to a shared blob is read when the stamps are taken, and needs no reading here.
    if blob.is_externally_linked() && (now.dev, now.inode) == (blob.stamp.dev, blob.stamp.inode) {
        return Ok(true);
    }
    let is_as_judged = |stamp: &Stamp| stamp.difference(&now).is_none();
    if is_as_judged(&blob.stamp) || recorded.is_some_and(|file| is_as_judged(&file.stamp)) {
        return Ok(true);
    }
    let Some(mut file) = reading::open(place)? else { return Ok(false) };
    Ok(blob::read_own(&mut file)?.is_some_and(|found| found.sha256 == blob.sha256))
}
