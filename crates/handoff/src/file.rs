//! Writes a handoff to a file, and reads it back.

use std::{io, path::Path};

use serde::Deserialize;

use crate::{Error, Handoff, Result, SCHEMA_VERSION};

/// Limits what is read, in bytes. A folder of 20,000 files makes a handoff of about 5 MB.
const MAX_HANDOFF_BYTES: u64 = 64 << 20;

/// Writes a handoff, atomically and durably. It creates missing folders. A process that reads `path` meanwhile sees the
/// old document or the new one. The call also removes what a process left beside it that died in the middle.
///
/// # Errors
/// [`Error::Write`]. Then the old document is still there.
pub fn write(handoff: &Handoff, path: &Path) -> Result<()> {
    let failed = |source: io::Error| Error::Write { path: path.to_owned(), source };
    let mut json = serde_json::to_vec_pretty(handoff).map_err(|error| failed(error.into()))?;
    json.push(b'\n');
    durable_fs::replace(path, &json).map_err(|error| failed(io_error(error)))?;
    durable_fs::sweep(path);
    Ok(())
}

/// Reads a handoff. It does not look at the model: [`Handoff::check`] does.
///
/// # Errors
/// [`Error::Read`] where the file cannot be read; [`Error::Malformed`] where it is not a handoff; [`Error::Newer`] where a newer
/// release wrote it.
pub fn read(path: &Path) -> Result<Handoff> {
    #[derive(Deserialize)]
    struct AnySchema {
        schema_version: u64,
    }
    let failed = |source: io::Error| Error::Read { path: path.to_owned(), source };
    let malformed = |source| Error::Malformed { path: path.to_owned(), source };
    let bytes = durable_fs::read(path, MAX_HANDOFF_BYTES).map_err(|error| failed(io_error(error)))?;
    let bytes = bytes.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let any: AnySchema = serde_json::from_slice(&bytes).map_err(malformed)?;
    if any.schema_version > SCHEMA_VERSION {
        return Err(Error::Newer { path: path.to_owned(), found: any.schema_version, known: SCHEMA_VERSION });
    }
    if any.schema_version == 0 {
        return Err(malformed(serde::de::Error::custom("there is no schema 0")));
    }
    serde_json::from_slice(&bytes).map_err(malformed)
}

fn io_error(error: durable_fs::Error) -> io::Error {
    match error {
        durable_fs::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
