//! Describes an answer that refuses, by the rules of HTTP alone.

use std::time::Duration;

use http::{StatusCode, header::HeaderMap};
use provisioner_core::FetchErrorKind;
use url::Url;

use crate::{rate_limit, settings::HttpSettings};

/// Says with which identity the client made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The client sent no token, for it has none.
    Anonymous,
    /// The client sent its token.
    Authenticated,
    /// The client withheld its token, which belongs to the endpoint's own origin alone.
    Withheld,
    /// The client left its token out, which the source no longer accepts.
    Expired,
}

/// Describes a refusal to a [`Dialect`](crate::Dialect).
#[derive(Debug)]
pub struct Refusal<'a> {
    /// The settings of the client that asked.
    pub settings: &'a HttpSettings,
    /// The identity with which it asked.
    pub identity: Identity,
    /// The address that the fetcher asked for.
    pub asked: &'a Url,
    /// The address that refused: another one after a redirect.
    pub url: &'a Url,
    /// The status of the answer.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: &'a HeaderMap,
}

impl Refusal<'_> {
    /// Returns a header of the answer; `None` where it has no header of that name, or its bytes are not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns how long the server asks the client to pause, where it says how long. Only a server that says it is busy may ask.
    pub fn wait(&self) -> Option<Duration> {
        let is_busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.status);
        is_busy.then(|| rate_limit::wait_of(self.headers)).flatten()
    }

    /// Returns whether the server does not let this identity in.
    pub fn is_denied(&self) -> bool {
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&self.status)
    }

    /// Returns what the status means, and for a busy server the time that it names.
    pub fn kind(&self) -> FetchErrorKind {
        match self.status {
            _ if self.is_denied() => FetchErrorKind::Unauthorized,
            StatusCode::NOT_FOUND => FetchErrorKind::NotFound,
            StatusCode::TOO_MANY_REQUESTS => FetchErrorKind::RateLimited,
            _ if self.wait().is_some() => FetchErrorKind::RateLimited,
            StatusCode::REQUEST_TIMEOUT => FetchErrorKind::Unavailable,
            status if status.is_server_error() => FetchErrorKind::Unavailable,
            _ => FetchErrorKind::Invalid,
        }
    }
}
