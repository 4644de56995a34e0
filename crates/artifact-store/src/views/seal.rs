//! Seals views: a seal holds what the catalog said of a model when its view was made.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use provisioner_core::{CatalogRecord, ModelRef, RECORD_SCHEMA, RelativePath};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    layout::{REMOVED, SEAL, Store},
};

/// The largest seal that this process reads, in bytes.
const MAX_SEAL_BYTES: u64 = 64 << 20;

/// Holds a seal, as it is on disk. Its schema is that of the record.
#[derive(Serialize, Deserialize)]
struct Seal<R> {
    schema_version: u64,
    record: R,
}

/// Holds the field that every schema of a seal has.
#[derive(Deserialize)]
struct AnySchema {
    schema_version: u64,
}

impl Store {
    /// Returns whether a view is whole, as far as its seal says. A view is not whole when its removal has begun.
    pub fn is_sealed(&self, root: &Path) -> bool {
        root.join(SEAL).exists()
    }

    /// Seals a view again whose files are those of a record. A sealed view stays as it is.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for a path outside of the views; [`Error::Io`].
    pub fn seal_again(&self, record: &CatalogRecord) -> Result<()> {
        let root = record.root();
        if !self.holds(root) {
            return Err(Error::NotOurs(format!("`{}` is no view of this store", root.display())));
        }
        if self.is_sealed(root) { Ok(()) } else { self.reseal(record) }
    }

    /// Writes the seal of a view, and removes the mark of its removal.
    #[expect(clippy::unused_self, reason = "what is sealed belongs to the store")]
    pub(crate) fn reseal(&self, record: &CatalogRecord) -> Result<()> {
        write_seal(record.root(), record)?;
        let _ = fs_err::remove_file(record.root().join(REMOVED));
        Ok(())
    }

    /// Returns a record with the path that its view has now: an operator may have moved the store, or may mount it
    /// elsewhere, or reach it through a symlink. A record of files that are not the store's is returned as it is.
    #[must_use]
    pub fn relocated(&self, record: CatalogRecord) -> CatalogRecord {
        if self.holds(record.root()) {
            return record;
        }
        let homes = homes_of(&record);
        let home = homes.iter().find(|home| record.root().ends_with(home)).or(homes.first());
        let Some(root) = home.map(|home| self.view(home)) else { return record };
        CatalogRecord { local_path: in_view(&record, &root), ..record }
    }
}

/// Writes a seal, or the draft of one. The text goes out as it comes into being, for that of many files has megabytes.
pub(crate) fn write_seal(folder: &Path, record: &CatalogRecord) -> Result<()> {
    let seal = Seal { schema_version: RECORD_SCHEMA, record };
    let write = |to: &mut dyn Write| serde_json::to_writer_pretty(to, &seal).map_err(io::Error::from);
    Ok(durable_fs::replace_with(&folder.join(SEAL), write)?)
}

/// Reads the seal of a view. A seal counts only in the folder of that very model's view. A file that only looks like a seal
/// says nothing.
///
/// # Errors
/// What the operating system says of the seal. A missing seal is not an error.
pub(crate) fn read_seal(root: &Path) -> Result<Option<CatalogRecord>> {
    Ok(read(&root.join(SEAL))?.and_then(|record| relocated(record, root)))
}

/// Returns the schema of a seal that a newer release wrote. `None` for every other seal, and where there is none.
///
/// # Errors
/// What the operating system says of the seal.
pub(crate) fn newer_schema(root: &Path) -> Result<Option<u64>> {
    let seal = read_bytes(&root.join(SEAL))?;
    let any = seal.and_then(|bytes| serde_json::from_slice::<AnySchema>(&bytes).ok());
    Ok(any.map(|any| any.schema_version).filter(|schema| *schema > RECORD_SCHEMA))
}

/// Returns the id that a seal names, wherever its folder lies now: in the quarantine, or in a partial.
pub(crate) fn sealed_id(root: &Path) -> Option<String> {
    read(&root.join(SEAL)).ok()?.map(|record| record.id)
}

/// Returns a record with the path of this view: an operator may have moved the store, or copied it from elsewhere.
fn relocated(record: CatalogRecord, root: &Path) -> Option<CatalogRecord> {
    let local_path = in_view(&record, root);
    let is_home = homes_of(&record).iter().any(|home| root.ends_with(home));
    is_home.then_some(CatalogRecord { local_path, ..record })
}

/// Returns where the view of a record belongs, below the folder of all views: one place, or two for a text that its fetcher may
/// read as a repository. Returns none for a model that is in no store.
fn homes_of(record: &CatalogRecord) -> Vec<RelativePath> {
    let Some(fetched) = record.id.parse::<ModelRef>().ok().filter(|id| !id.is_local()) else {
        return Vec::new();
    };
    let repository = match &fetched {
        ModelRef::Other(other) => other.repository().ok().map(ModelRef::from),
        _ => None,
    };
    let readings = [Some(fetched), repository].into_iter().flatten();
    readings.filter_map(|id| id.view_path(record.revision.as_deref()).ok()).collect()
}

/// Returns the path of a view that an engine loads: the folder, or the file.
fn in_view(record: &CatalogRecord, root: &Path) -> PathBuf {
    record.entry.as_ref().map_or_else(|| root.to_owned(), |entry| root.join(entry))
}

/// Reads the mark of a view whose removal has begun: what the view was.
pub(crate) fn read_mark(root: &Path) -> Result<Option<CatalogRecord>> {
    Ok(read(&root.join(REMOVED))?.and_then(|record| relocated(record, root)))
}

/// Reads the draft of a seal: what an unfinished view becomes.
pub(crate) fn read_draft(aside: &Path) -> Result<Option<CatalogRecord>> {
    read(&aside.join(SEAL))
}

fn read(seal: &Path) -> Result<Option<CatalogRecord>> {
    let seal = read_bytes(seal)?.and_then(|bytes| serde_json::from_slice::<Seal<CatalogRecord>>(&bytes).ok());
    Ok(seal.filter(|seal| seal.schema_version <= RECORD_SCHEMA).map(|seal| seal.record))
}

/// Returns the bytes of a seal. A file that this program did not write is not a seal.
fn read_bytes(seal: &Path) -> Result<Option<Vec<u8>>> {
    match durable_fs::read(seal, MAX_SEAL_BYTES) {
        Err(durable_fs::Error::NotOurs { .. }) => Ok(None),
        read => Ok(read?),
    }
}
