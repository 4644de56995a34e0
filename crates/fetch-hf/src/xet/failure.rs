//! Names the failures of Xet.

use provisioner_core::{FetchError, FetchErrorKind};
use xet::XetError;

/// Returns the error of a range that Xet does not serve. Plain HTTP may serve it.
pub(super) fn unavailable(what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Unavailable, format!("Xet: {what}"))
}

/// Returns the kind of a failure in words of ours: the client's own text may have an address with a signature.
pub(super) fn reason(error: &XetError) -> &'static str {
    match error {
        XetError::Authentication(_) => "the token is refused",
        XetError::Network(_) => "the storage cannot be reached",
        XetError::RateLimited(_) => "the storage asks to be left alone",
        XetError::ServerError(_) => "the storage fails",
        XetError::Timeout(_) => "the storage is silent",
        XetError::NotFound(_) => "the storage does not have it",
        XetError::DataIntegrity(_) => "what came is damaged",
        XetError::Io(_) => "a file on this machine could not be used",
        XetError::Cancelled(_) | XetError::UserCancelled(_) | XetError::KeyboardInterrupt => {
            "it was cancelled"
        }
        _ => "its client failed",
    }
}
