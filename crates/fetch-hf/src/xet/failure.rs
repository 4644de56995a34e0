//! Names the failures of Xet.

use provisioner_core::{FetchError, FetchErrorKind};

/// Returns the error of a range that Xet does not serve. Plain HTTP may serve it.
pub(super) fn unavailable(what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Unavailable, format!("Xet: {what}"))
}
