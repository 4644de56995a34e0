//! Makes the errors that any source over HTTP may have.

use std::{error::Error as StdError, fmt::Display, io, time::Duration};

use hyper_util::client::legacy;
use provisioner_core::{FetchError, FetchErrorKind, excerpt};
use rustls::AlertDescription;
use url::Url;

use crate::{
    address::{MOST_SHOWN_CHARS, redacted},
    proxies::ProxyError,
};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Says why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The client could not connect, or the connection broke.
    #[error(transparent)]
    Client(#[from] legacy::Error),
    #[error("no answer came within {0:?}")]
    Silent(Duration),
    #[error("no request can name the address")]
    Address(#[from] http::uri::InvalidUri),
    /// The proxy of the environment carries no request.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl SendError {
    /// Returns the cause of that type, where there is one.
    pub(crate) fn cause<T: StdError + 'static>(&self) -> Option<&T> {
        let mut next: Option<&(dyn StdError + 'static)> = match self {
            Self::Proxy(error) => Some(error),
            _ => self.source(),
        };
        while let Some(cause) = next {
            if let Some(found) = cause.downcast_ref() {
                return Some(found);
            }
            // What an `io::Error` wraps is not its source.
            next = match cause.downcast_ref::<io::Error>() {
                Some(error) => error.get_ref().map(|inner| inner as _),
                None => cause.source(),
            };
        }
        None
    }

    /// Returns whether the two ends do not agree in TLS. A connection that breaks off in it is no such error.
    fn is_tls(&self) -> bool {
        use AlertDescription::{CloseNotify, InternalError, UserCanceled};
        let passes = |error: &rustls::Error| {
            matches!(error, rustls::Error::AlertReceived(CloseNotify | InternalError | UserCanceled))
        };
        self.cause().is_some_and(|error| !passes(error))
    }
}

/// Returns the error of an answer that makes no sense: asking again does not help.
pub fn invalid(url: &Url, what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Invalid, format!("`{}`: {what}", redacted(url)))
}

/// Returns the error of a connection that ended, or brought no more bytes, before its answer did.
pub(crate) fn broken(url: &Url, what: &dyn Display) -> FetchError {
    FetchError::new(
        FetchErrorKind::Unavailable,
        format!("the connection to `{}` broke: {what}", redacted(url)),
    )
}

/// Returns the error of a request that the proxy of the environment does not carry. Asking again does not help.
pub(crate) fn not_carried(url: &Url, error: ProxyError) -> FetchError {
    let message = format!("connecting to `{}` failed: {error}", redacted(url));
    FetchError { hint: Some(error.hint()), ..FetchError::new(FetchErrorKind::Invalid, message) }
}

/// Returns the error of a request without an answer, and whether TLS is the reason. Asking again may help, but not where a
/// certificate is wrong.
pub(crate) fn unreachable(url: &Url, error: &SendError) -> (FetchError, bool) {
    let mut causes = String::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        causes = format!("{causes}: {cause}");
        next = cause.source();
    }
    let is_tls = error.is_tls();
    let kind = match error {
        _ if is_tls => FetchErrorKind::Invalid,
        SendError::Address(_) => FetchErrorKind::Invalid,
        SendError::Client(error) if error.is_connect() => FetchErrorKind::Unreachable,
        _ => FetchErrorKind::Unavailable,
    };
    let what = if is_tls { "TLS with" } else { "connecting to" };
    // A certificate may have thousands of names.
    let causes = excerpt(&causes, MOST_SHOWN_CHARS);
    (FetchError::new(kind, format!("{what} `{}` failed{causes}", redacted(url))), is_tls)
}
