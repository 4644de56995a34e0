//! Makes the errors that any source over HTTP may have.

use std::error::Error as StdError;

use provisioner_core::{FetchError, FetchErrorKind};
use reqwest::Url;

use crate::address::redacted;

/// Returns the error of an answer that makes no sense: asking again does not help.
pub fn invalid(url: &Url, what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Invalid, format!("`{}`: {what}", redacted(url)))
}

/// Returns the error of a connection that ended before its answer did.
pub(crate) fn broken(url: &Url, error: &reqwest::Error) -> FetchError {
    // Not the error's own text: it has the whole address, whose query may be secret.
    let cause = error.source().map_or_else(|| "it ended early".to_owned(), ToString::to_string);
    FetchError::new(
        FetchErrorKind::Unavailable,
        format!("the connection to `{}` broke: {cause}", redacted(url)),
    )
}

/// Returns the error of a connection that could not be made, and whether TLS is the reason. Asking again may help, but not
/// where a certificate is wrong.
pub(crate) fn unreachable(url: &Url, error: &reqwest::Error) -> (FetchError, bool) {
    let mut causes = String::new();
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(cause) = next {
        causes = format!("{causes}: {cause}");
        next = cause.source();
    }
    let is_tls =
        ["certificate", "handshake", "InvalidContentType", "tls"].iter().any(|word| causes.contains(word));
    let kind = match is_tls {
        true => FetchErrorKind::Invalid,
        false if error.is_connect() => FetchErrorKind::Unreachable,
        false => FetchErrorKind::Unavailable,
    };
    let what = if is_tls { "TLS with" } else { "connecting to" };
    (FetchError::new(kind, format!("{what} `{}` failed{causes}", redacted(url))), is_tls)
}
