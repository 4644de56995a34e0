//! Repairs a view where it lies.
//!
//! A live process may use the view, and may just have received its path. So its folder never moves. The store replaces a
//! wrong file in one step. A file with the right bytes stays, whatever its times say. A view that lacks files of a commit gets them
//! where it lies, unless a live process uses it: that process would find what it was not given.

use std::{collections::BTreeSet, io, path::Path};

use file_hashing::{open, read_own};
use provisioner_core::{CatalogRecord, RecordedFile, RelativePath, Stamp};

use crate::{
    blobs::blob::Blob,
    error::{Error, Result},
    layout::Store,
    locks::lease::LeaseBlock,
    views::{
        build::{build, open_to_readers},
        pending::PendingView,
        seal::read_seal,
    },
};

impl Store {
    /// Gives a view these blobs, and returns its record. Returns `None` where there is no view. A live process may use that
    /// view. So its folder stays, and so does every file with the right bytes. The store replaces a wrong file in one step.
    pub(crate) fn repair_view(&self, view: PendingView<'_>) -> Result<Option<CatalogRecord>> {
        let PendingView { root, aside, blobs, record_of, watch } = view;
        let sealed = read_seal(root)?;
        let mut grows = None;
        if let Some(sealed) = &sealed {
            match Comparison::of(sealed, blobs) {
                Comparison::Same => {}
                Comparison::Part => grows = Some(self.block_if_locks_hold(root, &sealed.id)?),
                Comparison::Other => {
                    self.displace(root, &sealed.id)?;
                    return Ok(None);
                }
            }
        } else if fs_err::symlink_metadata(root).is_ok_and(|metadata| !metadata.is_dir()) {
            self.quarantine(root)?;
        }
        if !root.exists() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        for (path, blob) in blobs {
            let recorded = sealed.as_ref().and_then(|sealed| sealed.file(path));
            if !has_bytes(&root.join(path), blob, recorded)? {
                if recorded.is_some() || grows.is_none() {
                    tracing::warn!("`{}` is linked again", root.join(path).display());
                }
                wrong.push((*path, blob.clone()));
            }
        }
        if !wrong.is_empty() {
            self.replace_files(root, aside, &wrong)?;
        }
        let record = record_of(self.stamps(root, blobs, watch)?);
        if sealed.is_none() || grows.is_some() {
            self.reseal(&record)?;
            open_to_readers(root)?;
            self.prepare_lease(root);
        }
        Ok(Some(record))
    }

    /// Replaces wrong files of a view by links to blobs.
    fn replace_files(&self, root: &Path, aside: &Path, wrong: &[(&RelativePath, Blob)]) -> Result<()> {
        build(aside, wrong)?;
        let mut folders = BTreeSet::new();
        for (path, _) in wrong {
            let file = root.join(path);
            let folder = file.parent().unwrap_or(root);
            durable_fs::create_folders(folder)?;
            if file.is_dir() {
                self.quarantine(&file)?;
            }
            fs_err::rename(aside.join(path), &file)?;
            folders.insert(folder.to_owned());
        }
        folders.iter().try_for_each(|folder| durable_fs::sync_folder(folder))?;
        Ok(())
    }

    /// Moves a view of other files out of the way, unless a live process uses it.
    fn displace(&self, root: &Path, id: &str) -> Result<()> {
        let _blocked = self.block_if_locks_hold(root, id)?;
        self.quarantine(root)?;
        Ok(())
    }

    /// Checks that no live process uses a view, and blocks new leases until the result is dropped. Where locks lie, a lease means
    /// nothing, and the result blocks none.
    fn block_if_locks_hold(&self, root: &Path, id: &str) -> Result<Option<LeaseBlock>> {
        match self.block_leases(root, id) {
            Err(Error::UntrustedLocks { .. }) => Ok(None),
            blocked => blocked.map(Some),
        }
    }
}

/// Says how a sealed view compares with the files of a commit.
enum Comparison {
    /// The view has those files.
    Same,
    /// The view has some of those files, and no other.
    Part,
    /// The view has other files.
    Other,
}

impl Comparison {
    /// Compares a sealed view with the files of a commit, both in the order of their paths.
    fn of(sealed: &CatalogRecord, blobs: &[(&RelativePath, Blob)]) -> Self {
        let mut rest = blobs.iter().map(|(path, blob)| (*path, Some(&blob.sha256)));
        let mut theirs = sealed.files.iter().map(|file| (&file.path, file.sha256.as_ref()));
        if !theirs.all(|file| rest.any(|own| own == file)) {
            Self::Other
        } else if sealed.files.len() < blobs.len() {
            Self::Part
        } else {
            Self::Same
        }
    }
}

/// Returns whether a file of a view has the bytes of a blob: it is a link to the blob, its seal says so, or the store read
/// it.
fn has_bytes(path: &Path, blob: &Blob, recorded: Option<&RecordedFile>) -> Result<bool> {
    let now = match fs_err::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Stamp::of(&metadata),
        Ok(_) => return Ok(false),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    // The store reads a link to another tool's file when it takes the stamps, and need not read it here.
    if blob.is_externally_linked() && (now.dev, now.inode) == (blob.stamp.dev, blob.stamp.inode) {
        return Ok(true);
    }
    let is_as_judged = |stamp: &Stamp| stamp.difference(&now).is_none();
    if is_as_judged(&blob.stamp) || recorded.is_some_and(|file| is_as_judged(&file.stamp)) {
        return Ok(true);
    }
    let Some(mut file) = open(path)? else { return Ok(false) };
    Ok(read_own(&mut file)?.is_some_and(|found| found.sha256 == blob.sha256))
}
