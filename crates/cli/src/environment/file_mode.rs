//! Looks at who can read a file with a secret.

use std::{os::unix::fs::PermissionsExt, path::Path};

/// Returns whether any user of this machine can read a file: its mode lets them, and so does every folder above it.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let allows = |path: &Path, bit| path.metadata().is_ok_and(|found| found.permissions().mode() & bit != 0);
    allows(&path, 0o004) && path.ancestors().skip(1).all(|folder| allows(folder, 0o001))
}
