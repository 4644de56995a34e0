//! Reads and writes the file of one record.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, Write},
    path::Path,
};

use provisioner_core::{
    CatalogError, CatalogErrorKind, CatalogRecord, ModelRef, RECORD_SCHEMA, Version, Versioned, excerpt,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Limits a record, in bytes. A folder of 20,000 files makes a record of about 6 MB.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// How many bytes of a record are in memory at once while it is read.
const BUFFER_BYTES: usize = 16 << 10;

/// The fields that stand before those of the record.
const OWN_FIELDS: [&str; 2] = ["schema_version", "version"];

/// A record as it is on disk.
#[derive(Serialize)]
struct RecordFile<'a> {
    schema_version: u64,
    version: u64,
    #[serde(flatten)]
    record: &'a CatalogRecord,
}

/// The fields that every schema has.
#[derive(Deserialize)]
struct AnySchema {
    schema_version: u64,
}

/// Returns the record in a file. `None` where there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Versioned>, CatalogError> {
    Ok(read_sized(path)?.map(|(found, _)| found))
}

/// Returns the record in a file, and how many bytes the file has. `None` where there is no file. It reads the text as it goes, for
/// that of many files has megabytes.
pub(crate) fn read_sized(path: &Path) -> Result<Option<(Versioned, u64)>, CatalogError> {
    let Some(file) = durable_fs::open_found(path).map_err(failed)? else { return Ok(None) };
    let size = file.metadata()?.len();
    if size > MAX_RECORD_BYTES {
        let reason = "it is larger than anything we write";
        return Err(failed(durable_fs::Error::NotOurs { path: path.to_owned(), reason }));
    }
    let record = match parse::<CatalogRecord>(&file) {
        Ok(record) if schema_of(&record).is_some_and(|schema| schema <= RECORD_SCHEMA) => record,
        unread => return Err(why_unread(path, &file, unread.err())?),
    };
    versioned(path, record).map(|found| Some((found, size)))
}

/// Parses a file from its beginning.
fn parse<T: DeserializeOwned>(mut file: &File) -> serde_json::Result<T> {
    file.rewind().map_err(serde_json::Error::io)?;
    serde_json::from_reader(BufReader::with_capacity(BUFFER_BYTES, file.take(MAX_RECORD_BYTES)))
}

/// Returns why a record cannot be read: a newer release wrote it, or it is damaged.
fn why_unread(
    path: &Path,
    file: &File,
    error: Option<serde_json::Error>,
) -> Result<CatalogError, CatalogError> {
    let schema = parse::<AnySchema>(file).map(|any| any.schema_version);
    match (schema, error) {
        (Ok(schema), _) if schema > RECORD_SCHEMA => {
            let message = format!(
                "the record `{}` has schema {schema}, and this release knows schema {RECORD_SCHEMA}",
                path.display(),
            );
            Ok(CatalogError::new(CatalogErrorKind::Newer, message))
        }
        (Err(error), _) | (Ok(_), Some(error)) if error.is_io() => Err(io::Error::from(error).into()),
        (Err(error), _) | (Ok(_), Some(error)) => Ok(damaged(path, &excerpt(&error.to_string(), 200))),
        (Ok(_), None) => Ok(damaged(path, "its schema is none")),
    }
}

fn schema_of(record: &CatalogRecord) -> Option<u64> {
    record.extra.get("schema_version").and_then(Value::as_u64)
}

/// Returns a record without the fields of its file.
fn versioned(path: &Path, mut record: CatalogRecord) -> Result<Versioned, CatalogError> {
    // A struct with the record flattened into it would hold every field twice: as it stands in the file, and as it is read.
    let version = record.extra.get("version").and_then(Value::as_u64).map(Version);
    let version = version.ok_or_else(|| damaged(path, "it has no version"))?;
    record.extra.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()));
    if !is_canonical(&record.id) {
        return Err(damaged(path, "its id is none"));
    }
    Ok(Versioned { record, version })
}

/// Makes a file that of a record. The text goes out as it comes into being, for that of many files has megabytes.
pub(crate) fn write(path: &Path, record: &CatalogRecord, version: Version) -> Result<(), CatalogError> {
    let file = RecordFile { schema_version: RECORD_SCHEMA, version: version.0, record };
    let mut is_too_large = false;
    let written = durable_fs::replace_with(path, |to| {
        let mut bounded = Bounded { to, left: MAX_RECORD_BYTES, is_over: false };
        let written = serde_json::to_writer_pretty(&mut bounded, &file).map_err(io::Error::from);
        let written = written.and_then(|()| bounded.write_all(b"\n"));
        is_too_large = bounded.is_over;
        written
    });
    if is_too_large {
        let message = format!("the record of `{}` would be larger than {MAX_RECORD_BYTES} bytes", record.id);
        return Err(CatalogError::new(CatalogErrorKind::Storage, message));
    }
    written.map_err(failed)
}

/// Writes no more than so many bytes.
struct Bounded<'a> {
    to: &'a mut dyn Write,
    left: u64,
    /// Whether there were more.
    is_over: bool,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.to.write_all(bytes)?;
        self.left = left;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn is_canonical(id: &str) -> bool {
    id.parse::<ModelRef>().is_ok_and(|reference| reference.id() == id)
}

/// Describes a record that cannot be read.
pub(crate) fn damaged(path: &Path, reason: &str) -> CatalogError {
    let message = format!("the record `{}` is damaged: {reason}", path.display());
    CatalogError::new(CatalogErrorKind::Damaged, message)
}

/// Describes a failure of the disk.
pub(crate) fn failed(error: durable_fs::Error) -> CatalogError {
    match error {
        durable_fs::Error::Io(error) => error.into(),
        durable_fs::Error::Busy { .. } => CatalogError::new(CatalogErrorKind::Busy, error.to_string()),
        other => CatalogError::new(CatalogErrorKind::Unsafe, other.to_string()),
    }
}
