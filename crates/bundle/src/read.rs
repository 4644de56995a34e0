//! Reads a bundle, and checks it.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use provisioner_core::{
    CatalogRecord, Digest, ModelRef, RECORD_SCHEMA, RelativePath, excerpt, readable_size,
};

use crate::{
    error::{Error, Result},
    format::{RECORD, RecordFile, SUMS, parse_sums},
};

/// The largest record file and the largest table that this process reads, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Holds a well-formed bundle. Nothing has verified its claims.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    record: CatalogRecord,
}

/// Describes one file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundledFile {
    /// The path of the file in the model.
    pub path: RelativePath,
    /// The size that the file has, in bytes.
    pub size_bytes: u64,
    /// The digest that the bundle claims for the file.
    pub sha256: Option<Digest>,
    /// The path at which the file lies.
    pub location: PathBuf,
}

impl Bundle {
    /// Reads the record and the table of a folder. Returns `None` for a folder without a record file. It looks at no file of
    /// the model.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Newer`], [`Error::Differs`] where the table and the record disagree, and the failures of
    /// the disk.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        let Some(json) = read(&dir.join(RECORD))? else { return Ok(None) };
        let invalid = |reason: String| Error::Invalid { path: dir.to_owned(), reason };
        let version: serde_json::Value =
            serde_json::from_slice(&json).map_err(|error| invalid(malformed(&error)))?;
        match version["schema_version"].as_u64() {
            Some(found) if found > RECORD_SCHEMA => {
                return Err(Error::Newer { path: dir.to_owned(), found, supported: RECORD_SCHEMA });
            }
            Some(_) => {}
            None => return Err(invalid(format!("`{RECORD}` has no `schema_version`"))),
        }
        let file: RecordFile = serde_json::from_value(version).map_err(|error| invalid(malformed(&error)))?;
        let missing =
            || io::Error::new(io::ErrorKind::NotFound, format!("`{}` is missing", dir.join(SUMS).display()));
        let sums = read(&dir.join(SUMS))?.ok_or_else(missing)?;
        let sums = String::from_utf8(sums).map_err(|_| invalid(format!("`{SUMS}` is not valid UTF-8")))?;
        let mut table = parse_sums(&sums).map_err(|reason| invalid(format!("`{SUMS}`: {reason}")))?;
        for listed in file.record.files.iter() {
            let (Some(actual), Some(expected)) = (&listed.sha256, table.remove(listed.path.as_str())) else {
                return Err(invalid(format!("there is no digest of `{}`", listed.path)));
            };
            if *actual != expected {
                return Err(Error::Differs { path: listed.path.clone(), expected, actual: actual.clone() });
            }
        }
        match table.into_keys().next() {
            Some(path) => Err(invalid(format!("`{SUMS}` names `{path}`, and `{RECORD}` does not"))),
            None => Ok(Some(Self { dir: dir.to_owned(), record: file.record })),
        }
    }

    /// Returns what the bundle says of the model.
    pub fn record(&self) -> &CatalogRecord {
        &self.record
    }

    /// Returns the reference that the bundle's id stands for.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the id is not one.
    pub fn reference(&self) -> Result<ModelRef> {
        let id = &self.record.id;
        let parsed = ModelRef::parse(id, None).ok().filter(|parsed| parsed.id() == *id);
        parsed.ok_or_else(|| self.invalid(format!("`{}` is no id", excerpt(id, 200))))
    }

    /// Asks `stat` about the files, and returns them in the order of their paths. It reads no byte of them.
    ///
    /// # Errors
    /// [`Error::Unreadable`]; [`Error::Invalid`] for anything but a regular file; [`Error::WrongSize`].
    pub fn files(&self) -> Result<Vec<BundledFile>> {
        let mut files = Vec::new();
        for file in self.record.files.iter() {
            let location = self.dir.join(&file.path);
            let metadata = match fs_err::symlink_metadata(&location) {
                Ok(metadata) => metadata,
                Err(source) => return Err(Error::Unreadable { path: location, source }),
            };
            if !metadata.is_file() {
                return Err(self.invalid(format!("`{}` is no regular file", file.path)));
            }
            let (path, size_bytes, sha256) = (file.path.clone(), metadata.len(), file.sha256.clone());
            if let Some(expected) = sha256.clone().filter(|_| size_bytes != file.stamp.size) {
                let (expected_bytes, actual_bytes) = (file.stamp.size, size_bytes);
                return Err(Error::WrongSize { path, expected, expected_bytes, actual_bytes });
            }
            files.push(BundledFile { path, size_bytes, sha256, location });
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Returns whether the bundle has a file of this path: a file of the model, or the table.
    pub fn names(&self, path: &RelativePath) -> bool {
        path.as_str() == SUMS || self.record.files.iter().any(|file| file.path == *path)
    }

    fn invalid(&self, reason: String) -> Error {
        Error::Invalid { path: self.dir.clone(), reason }
    }
}

/// Returns why a record file is malformed. The parser quotes the text of the file.
fn malformed(error: &serde_json::Error) -> String {
    format!("`{RECORD}`: {}", excerpt(&error.to_string(), 200))
}

/// Reads a file of any user. Returns `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(file) = file_hashing::open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let reason = format!("`{}` is larger than {}", path.display(), readable_size(MAX_BYTES));
        return Err(Error::Invalid { path: path.parent().unwrap_or(path).to_owned(), reason });
    }
    Ok(Some(bytes))
}
