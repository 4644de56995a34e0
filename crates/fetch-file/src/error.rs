//! Makes errors about paths of this machine.

use std::{io, path::Path};

use provisioner_core::{FetchError, FetchErrorKind};

/// Returns what the operating system says of a path, as an error.
pub(crate) fn failed(path: &Path, error: io::Error) -> FetchError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            FetchError::new(FetchErrorKind::NotFound, format!("`{}` does not exist", path.display()))
        }
        io::ErrorKind::PermissionDenied => {
            FetchError::new(FetchErrorKind::Permission, format!("`{}` may not be read", path.display()))
        }
        _ => FetchError::new(FetchErrorKind::Storage, format!("`{}` cannot be read", path.display()))
            .because(error),
    }
}

/// Returns the error of a name that is not UTF-8.
pub(crate) fn not_utf8(path: &Path) -> FetchError {
    FetchError::new(FetchErrorKind::NotUtf8, format!("path `{}` is not valid UTF-8", path.display()))
}
