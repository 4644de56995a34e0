//! Reads the lock file that `--locked` names.

use std::{ffi::OsString, path::Path};

use model_provisioner::{LockFile, read_lock_file};

use crate::output::failure::Failure;

/// Returns the lock file, if the caller names one.
///
/// # Errors
/// Where the file cannot be read, or is not a lock file.
pub(super) fn lock_file(path: Option<&Path>) -> Result<Option<LockFile>, Failure> {
    Ok(path.map(read_lock_file).transpose()?)
}

/// Returns the references that the caller names, or else those of the lock file.
///
/// # Errors
/// Where there are none.
pub(super) fn references(named: &[OsString], lock: Option<&LockFile>) -> Result<Vec<OsString>, Failure> {
    let Some(lock) = lock.filter(|_| named.is_empty()) else { return Ok(named.to_vec()) };
    let locked: Vec<_> = lock.models().map(|model| OsString::from(model.reference().id())).collect();
    if locked.is_empty() {
        return Err(Failure::usage("the lock file has no model; name one to `lock`"));
    }
    Ok(locked)
}
