//! Reads and writes the file `models.lock`, where the build has the feature `lockfile`.

use std::path::Path;

use provisioner_core::LockFile;

use crate::error::{Error, Result};

/// Returns the models of a lock file. It may block.
///
/// # Errors
/// [`Error::Storage`] where the disk does not give the file; [`Error::LockFile`] for a mistake in it, with its line, and where the
/// build has no feature `lockfile`.
pub fn read_lock_file(path: &Path) -> Result<LockFile> {
    read(path)
}

#[cfg(not(feature = "lockfile"))]
fn read(path: &Path) -> Result<LockFile> {
    let reason = "this build does not read lock files".to_owned();
    let hint = Some("build with the cargo feature `lockfile`".into());
    Err(Error::LockFile { path: Some(path.to_owned()), reason, hint })
}

#[cfg(feature = "lockfile")]
fn read(path: &Path) -> Result<LockFile> {
    let refuse = |error: &lockfile::Error| refusal(path, error);
    let text = text_of(path)?;
    lockfile::read(&text).map(|lock| lock.at(path)).map_err(|error| refuse(&error))
}

/// Returns the references that a lock file names, although a merge of it is not finished: those of both sides, in order. It returns
/// those of a whole lock file too. It may block.
///
/// # Errors
/// As [`read_lock_file`], but for the marks of a merge.
#[cfg(feature = "lockfile")]
pub fn locked_references(path: &Path) -> Result<Vec<String>> {
    match lockfile::read(&text_of(path)?) {
        Ok(lock) => Ok(lock.models().map(|model| model.reference().id()).collect()),
        Err(lockfile::Error::Conflict { references, .. }) => Ok(references),
        Err(error) => Err(refusal(path, &error)),
    }
}

/// Makes a file a lock file of these models, atomically and durably. It may block.
///
/// # Errors
/// [`Error::Storage`] where the disk does not take the file.
#[cfg(feature = "lockfile")]
pub fn write_lock_file(lock: &LockFile, path: &Path) -> Result<()> {
    let failed = |error: durable_fs::Error| {
        Error::storage(format!("the lock file `{}` cannot be written", path.display()), error.into())
    };
    durable_fs::replace(path, lockfile::write(lock).as_bytes()).map_err(failed)
}

#[cfg(feature = "lockfile")]
fn text_of(path: &Path) -> Result<String> {
    let refuse = |reason: &str| {
        let reason = reason.to_owned();
        Error::LockFile { path: Some(path.to_owned()), reason, hint: None }
    };
    let bytes = match durable_fs::read_regular(path, lockfile::MAX_BYTES as u64) {
        Err(durable_fs::Error::NotOurs { reason, .. }) => return Err(refuse(reason)),
        Err(durable_fs::Error::TooLarge { .. }) => return Err(refuse("it is larger than 16 MiB")),
        Err(error) => {
            let what = format!("the lock file `{}` cannot be read", path.display());
            return Err(Error::storage(what, error.into()));
        }
        Ok(bytes) => bytes,
    };
    String::from_utf8(bytes).map_err(|_| refuse("it is not valid UTF-8"))
}

/// Returns the error of a text that is not a lock file.
#[cfg(feature = "lockfile")]
fn refusal(path: &Path, error: &lockfile::Error) -> Error {
    use provisioner_core::Hint;

    let hint = match error {
        lockfile::Error::Newer { .. } => Some(Hint::text("use the release that wrote it")),
        lockfile::Error::Conflict { .. } => Some(Hint::LockAgain),
        _ => None,
    };
    Error::LockFile { path: Some(path.to_owned()), reason: error.to_string(), hint }
}
