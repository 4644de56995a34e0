//! Names the failures of Xet.

use provisioner_core::{FetchError, FetchErrorKind};

/// Returns whether a failure is one of every file of the listing: the hub or the storage asks for fewer requests, or the policy does not allow
/// a host.
pub(super) fn is_of_listing(error: &FetchError) -> bool {
    matches!(error.kind, FetchErrorKind::RateLimited | FetchErrorKind::Denied)
}

/// Returns the error of a range that Xet does not serve. Plain HTTP may serve it.
pub(super) fn unavailable(what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Unavailable, format!("Xet: {what}"))
}
