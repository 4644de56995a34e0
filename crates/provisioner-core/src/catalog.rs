//! The catalog: durable records by id.

use std::{fmt, path::PathBuf};

use async_trait::async_trait;

use crate::{code::ErrorCode, record::CatalogRecord};

/// Which state of a record this is. Each put makes a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A record and the version that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The record.
    pub record: CatalogRecord,
    /// Its version.
    pub version: Version,
}

/// What a writer believes is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No record of that id.
    Absent,
    /// The record in just this version.
    Version(Version),
}

/// Everything in a catalog.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The records that can be read, in the order of their ids.
    pub records: Vec<Versioned>,
    /// The others.
    pub damaged: Vec<DamagedRecord>,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    /// Where it is, for a person.
    pub location: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it is whole, but of a schema that this release does not know.
    pub is_newer: bool,
}

/// Keeps records.
///
/// # Contract
/// - **Atomicity**: a reader sees a record as it was before a put or as it is after, whatever happens to the
///   writer. When `put` and `remove` return, the change survives a loss of power.
/// - **Conflict**: `put` and `remove` change a record only in the state that the caller expects, and otherwise
///   fail with [`CatalogErrorKind::Conflict`] and change nothing.
/// - **Damage**: one record that cannot be read fails for its own id only, with
///   [`CatalogErrorKind::Damaged`] or [`CatalogErrorKind::Newer`]; `list` names it and goes on.
/// - **Reading**: `get` and `list` write nothing.
/// - **Cancellation**: a call may be dropped at any await; the change then happens whole or not at all.
/// - **Retries**: the caller alone retries.
#[async_trait]
pub trait CatalogStore: fmt::Debug + Send + Sync + 'static {
    /// The record of an id.
    async fn get(&self, id: &str) -> Result<Option<Versioned>, CatalogError>;

    /// Writes a record, and returns its new version.
    async fn put(&self, record: &CatalogRecord, expected: Expected) -> Result<Version, CatalogError>;

    /// Removes a record. It never touches the model's files.
    async fn remove(&self, id: &str, expected: Version) -> Result<(), CatalogError>;

    /// Every record.
    async fn list(&self) -> Result<Listing, CatalogError>;

    /// Moves a damaged record out of the way, and returns where it is now. A record that turns out to be
    /// readable stays where it is.
    async fn set_aside(&self, damaged: &DamagedRecord) -> Result<PathBuf, CatalogError>;

    /// Returns whether the catalog exists: `false` before its first put, and after its files were lost. A provisioner asks once,
    /// when it is built, and puts the models of its store back into a catalog that does not exist. It may look at the disk,
    /// and opens no socket: a catalog on another machine returns `true`, which is the default.
    fn exists(&self) -> bool {
        true
    }

    /// Returns the folders and the files of the catalog that lie on this machine, the folders first. `doctor` checks that other
    /// users cannot write to them. The default returns none.
    ///
    /// # Errors
    /// The catalog's failure to list them; a folder that it cannot read is not a failure.
    async fn local_files(&self) -> Result<Vec<PathBuf>, CatalogError> {
        Ok(Vec::new())
    }

    /// Returns the temporary files that a process which died while it wrote may have left. The file of a live writer may be among
    /// them, so the caller removes none that is young. The default returns none.
    ///
    /// # Errors
    /// The catalog's failure to list them; a folder that it cannot read is not a failure.
    async fn leftovers(&self) -> Result<Vec<PathBuf>, CatalogError> {
        Ok(Vec::new())
    }
}

/// A catalog's failure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CatalogError {
    /// What kind of failure.
    pub kind: CatalogErrorKind,
    /// What happened, as a fragment that does not repeat the source.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<std::io::Error>,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogErrorKind {
    /// The record is not in the state that the caller expects.
    Conflict,
    /// The record cannot be read.
    Damaged,
    /// The record was written by a newer release.
    Newer,
    /// Another process holds the catalog for longer than the caller wants to wait.
    Busy,
    /// Something that is not ours lies where a record should be.
    Unsafe,
    /// The disk or the database failed; the source says how.
    Storage,
}

impl CatalogError {
    /// An error without a source.
    pub fn new(kind: CatalogErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match (self.kind, &self.source) {
            (CatalogErrorKind::Conflict | CatalogErrorKind::Busy, _) => ErrorCode::Busy,
            (CatalogErrorKind::Damaged, _) => ErrorCode::DamagedRecord,
            (CatalogErrorKind::Newer, _) => ErrorCode::NewerRecord,
            (CatalogErrorKind::Unsafe, _) => ErrorCode::UnsafeCache,
            // A catalog whose file is missing is a failure of storage, not of what was asked for.
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
