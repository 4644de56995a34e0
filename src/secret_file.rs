//! Reads files with a secret, and warns of one that other users can read.

use std::{os::unix::fs::PermissionsExt, path::Path};

use crate::{config::read_named_file, error::Result};

/// Reads a small file with a secret: a regular file of at most `limit` bytes. `what` names the secret, as in "the key". A file
/// that every user of this machine can read earns a warning. It may block.
///
/// # Errors
/// As [`read_named_file`].
pub fn read_secret_file(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>> {
    let bytes = read_named_file(path, limit)?;
    if is_open_to_others(path) {
        tracing::warn!(
            "every user of this machine can read {what} in `{0}`; `chmod 600 {0}` keeps it from them",
            path.display()
        );
    }
    Ok(bytes)
}

/// Returns whether any user of this machine can read a file: its mode lets them, and so does every folder above it.
fn is_open_to_others(path: &Path) -> bool {
    let Ok(path) = fs_err::canonicalize(path) else { return false };
    let allows =
        |path: &Path, bit| fs_err::metadata(path).is_ok_and(|found| found.permissions().mode() & bit != 0);
    allows(&path, 0o004) && path.ancestors().skip(1).all(|folder| allows(folder, 0o001))
}
