//! Defines the catalog: durable records by id.

use std::{fmt, path::PathBuf};

use async_trait::async_trait;

use crate::{code::ErrorCode, record::CatalogRecord};

/// Names a state of a record. Each put makes a greater version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

/// Holds a record and the version that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The record as the catalog has it.
    pub record: CatalogRecord,
    /// The version that this state of the record has.
    pub version: Version,
}

/// Says in which state a writer expects a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The catalog has no record of that id.
    Absent,
    /// The catalog has the record in just this version.
    Version(Version),
}

/// Holds everything in a catalog.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The records that can be read, in the order of their ids.
    pub records: Vec<Versioned>,
    /// The records that cannot be read.
    pub damaged: Vec<DamagedRecord>,
}

/// Holds some of the records of a catalog: see [`CatalogStore::page`].
#[derive(Clone, Debug, Default)]
pub struct RecordPage {
    /// The records of this page that can be read, in the catalog's own order.
    pub records: Vec<Versioned>,
    /// The records of this page that cannot be read.
    pub damaged: Vec<DamagedRecord>,
    /// Says where the next page begins. `None` on the last page.
    pub next: Option<PageStart>,
}

/// Names where a page of a catalog begins, in words of that catalog alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageStart(pub String);

/// Describes a record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    /// Says where the record is, as a path for a person.
    pub location: PathBuf,
    /// Why it cannot be read, as a fragment.
    pub reason: String,
    /// Says whether the record is whole, and has a schema that this release does not know.
    pub is_newer: bool,
}

/// Keeps records durably, by their ids.
///
/// # Contract
/// - **Atomicity**: a reader sees a record as it was before a put or as it is after it, whatever happens to the writer. When
///   `put` or `remove` has returned, the change survives a loss of power.
/// - **Conflict**: `put` and `remove` change a record only in the state that the caller expects. Otherwise they fail with
///   [`CatalogErrorKind::Conflict`] and change nothing.
/// - **Damage**: a record that cannot be read fails for its own id only, with [`CatalogErrorKind::Damaged`] or
///   [`CatalogErrorKind::Newer`]. `list` and `page` name it and go on.
/// - **Reading**: `get`, `get_several`, `list` and `page` write nothing.
/// - **Pages**: a record that no process removes between the first page and the last one is on one page, and on one alone.
/// - **Cancellation**: the caller may drop a call at any await. The change then happens whole or not at all.
/// - **Retries**: a catalog retries nothing. The caller retries.
#[async_trait]
pub trait CatalogStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the record of an id. `None` where the catalog has none.
    ///
    /// # Errors
    /// [`CatalogErrorKind::Damaged`] and [`CatalogErrorKind::Newer`] for a record that this release cannot read; the
    /// failures of the storage.
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError>;

    /// Writes a record, and returns its new version.
    ///
    /// # Errors
    /// [`CatalogErrorKind::Conflict`] where the record is not in the expected state; [`CatalogErrorKind::Busy`]; the
    /// failures of the storage.
    async fn put(&self, record: &CatalogRecord, expected: Precondition) -> Result<Version, CatalogError>;

    /// Removes a record, and leaves the model's files alone.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError>;

    /// Returns every record, and the damaged ones beside them.
    ///
    /// # Errors
    /// The failures of the storage. A damaged record is not a failure.
    async fn list(&self) -> Result<Listing, CatalogError>;

    /// Returns the records from `start` on, as many as the catalog holds in memory with ease; the first page without a start.
    /// A caller that needs little of each record goes from page to page, and holds no more than one.
    ///
    /// The default returns all of [`list`](Self::list) as one page.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    async fn page(&self, _start: Option<&PageStart>) -> Result<RecordPage, CatalogError> {
        let Listing { records, damaged } = self.list().await?;
        Ok(RecordPage { records, damaged, next: None })
    }

    /// Returns the records of some ids, in the order of `ids`, and the damaged ones beside them. An id without a record is
    /// left out.
    ///
    /// The default calls [`get`](Self::get) for each id.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    async fn get_several(&self, ids: &[String]) -> Result<Listing, CatalogError> {
        let mut found = Listing::default();
        for id in ids {
            match self.get(id).await {
                Ok(record) => found.records.extend(record),
                Err(error) => found.damaged.push(DamagedRecord::of(id.into(), error)?),
            }
        }
        Ok(found)
    }

    /// Moves a damaged record out of the way, and returns its new path. A record that turns out to be readable stays where
    /// it is.
    ///
    /// # Errors
    /// The failures of the storage.
    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError>;

    /// Returns whether the catalog exists. It is `false` before the first put, and after the catalog lost its files.
    ///
    /// A provisioner asks once, when it is built, and puts the models of its store back into a catalog that does not exist.
    /// The catalog may look at the disk, and opens no socket. A catalog on another machine returns `true`, which is the
    /// default.
    fn exists(&self) -> bool {
        true
    }

    /// Returns the folders and the files of the catalog that lie on this machine, the folders first. `doctor` checks that
    /// other users cannot write to them. The default returns none.
    ///
    /// # Errors
    /// The catalog's failure to list them. A folder that it cannot read is not a failure.
    async fn local_files(&self) -> Result<Vec<PathBuf>, CatalogError> {
        Ok(Vec::new())
    }

    /// Returns the temporary files that a process may have left which died while it wrote. The file of a live writer may be
    /// among them, so the caller removes no young one. The default returns none.
    ///
    /// # Errors
    /// The catalog's failure to list them. A folder that it cannot read is not a failure.
    async fn leftovers(&self) -> Result<Vec<PathBuf>, CatalogError> {
        Ok(Vec::new())
    }
}

/// Describes the failure of a catalog.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CatalogError {
    /// The kind of the failure, which chooses the code.
    pub kind: CatalogErrorKind,
    /// Says what happened, as a fragment that does not repeat the source.
    pub message: String,
    /// The error of the disk or of the database that caused this one.
    #[source]
    pub source: Option<std::io::Error>,
}

/// Names a kind of failure of a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogErrorKind {
    /// The record is not in the state that the caller expects.
    Conflict,
    /// The catalog cannot read the record.
    Damaged,
    /// A newer release wrote the record.
    Newer,
    /// Another process holds the catalog for longer than the caller wants to wait.
    Busy,
    /// Another user or program put something in the place of a record.
    Unsafe,
    /// The disk or the database failed. The `source` says how.
    Storage,
}

impl DamagedRecord {
    /// Describes the record at a place, of which a catalog says that it is damaged or newer.
    ///
    /// # Errors
    /// Any other error, as it came.
    pub fn of(location: PathBuf, error: CatalogError) -> Result<Self, CatalogError> {
        match error.kind {
            CatalogErrorKind::Damaged | CatalogErrorKind::Newer => {
                let is_newer = error.kind == CatalogErrorKind::Newer;
                Ok(Self { location, reason: error.message, is_newer })
            }
            _ => Err(error),
        }
    }
}

impl CatalogError {
    /// Makes an error of a kind without a source. The message is a fragment.
    pub fn new(kind: CatalogErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Returns the stable code of the kind.
    pub fn code(&self) -> ErrorCode {
        match (self.kind, &self.source) {
            (CatalogErrorKind::Conflict | CatalogErrorKind::Busy, _) => ErrorCode::Busy,
            (CatalogErrorKind::Damaged, _) => ErrorCode::DamagedRecord,
            (CatalogErrorKind::Newer, _) => ErrorCode::NewerRecord,
            (CatalogErrorKind::Unsafe, _) => ErrorCode::UnsafeCache,
            // A catalog whose file is missing is a failure of the storage. The caller asked for nothing that does not exist.
            (CatalogErrorKind::Storage, Some(source)) => match ErrorCode::of_io(source) {
                ErrorCode::NotFound => ErrorCode::StorageFailed,
                code => code,
            },
            (CatalogErrorKind::Storage, None) => ErrorCode::StorageFailed,
        }
    }
}

impl From<std::io::Error> for CatalogError {
    fn from(source: std::io::Error) -> Self {
        Self {
            kind: CatalogErrorKind::Storage,
            message: "the catalog failed".to_owned(),
            source: Some(source),
        }
    }
}
