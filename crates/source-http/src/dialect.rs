//! Says what one source adds to HTTP: how it tells its refusals apart, and what its users can do about them.

use std::{fmt, time::Duration};

use provisioner_core::{FetchError, FetchErrorKind, Hint, TokenOrigin};
use url::Url;

use crate::{address::redacted, refusal::Refusal, settings::HttpSettings};

/// Knows what one source says beyond the rules of HTTP.
///
/// # Contract
/// The client calls each method while a request is under way; a method opens nothing and does not block. Its texts become
/// parts of messages: fragments in lower case, without a full stop, without the token. A text of the server's goes
/// through [`server_text`](crate::server_text) first.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// Returns the source's name as it stands within a sentence, such as `the hub`.
    fn name(&self) -> &str;

    /// Returns whether the source refuses the token itself, whatever the client asked for. The client then stops
    /// sending a token that a login left in a file.
    fn refuses_token(&self, refusal: &Refusal<'_>) -> bool {
        let _ = refusal;
        false
    }

    /// Returns the reason that the source gives in words of its own.
    fn reason(&self, refusal: &Refusal<'_>) -> Option<String> {
        let _ = refusal;
        None
    }

    /// Returns what a refusal means, and what a person can do about it.
    fn meaning(&self, refusal: &Refusal<'_>) -> (FetchErrorKind, Option<Hint>) {
        (refusal.kind(), None)
    }

    /// Returns what a person can do about a trouble that is not a refusal: only the source knows which variables and
    /// commands its users have.
    fn remedy(&self, trouble: &Trouble<'_>) -> Option<Hint> {
        let _ = trouble;
        None
    }
}

/// Names a trouble that the client notices by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// Each redirect leads to another one.
    EndlessRedirect,
    /// The TLS handshake failed.
    Tls,
    /// The token cannot be sent in a header.
    MalformedToken,
    /// The source does not accept the token of this origin.
    RefusedToken(&'a TokenOrigin),
    /// The source asks for a pause.
    Busy {
        /// How long a pause it asks for, where it says so.
        wait: Option<Duration>,
        /// Says whether the client has a token.
        has_token: bool,
    },
}

/// Returns a refusal as an error.
pub(crate) fn error_of(dialect: &dyn Dialect, refusal: &Refusal<'_>) -> FetchError {
    let (name, wait) = (dialect.name(), refusal.wait());
    let mut message = format!("`{}` answered {}", redacted(refusal.url), refusal.status.as_u16());
    if dialect.refuses_token(refusal) {
        message = format!("{name} does not take {}: {message}", refusal.settings.token_origin);
    }
    if let Some(reason) = dialect.reason(refusal).filter(|reason| !reason.is_empty()) {
        message = format!("{message}: {reason}");
    }
    if let Some(wait) = wait {
        message = format!("{message}: {name} asks to wait {} s", wait.as_secs());
    }
    let (kind, hint) = dialect.meaning(refusal);
    FetchError { hint, retry_after: wait, ..FetchError::new(kind, message) }
}

/// Returns the error of a request that the client does not send, for its origin still wants a pause.
pub(crate) fn not_asked(
    dialect: &dyn Dialect,
    settings: &HttpSettings,
    url: &Url,
    left: Duration,
) -> FetchError {
    let (seconds, name) = (left.as_secs_f64().ceil(), dialect.name());
    let message = format!("`{}` is not asked: {name} asks to wait {seconds} s", redacted(url));
    let error = FetchError::new(FetchErrorKind::RateLimited, message);
    let busy = Trouble::Busy { wait: Some(left), has_token: settings.token.is_some() };
    FetchError { retry_after: Some(left), hint: dialect.remedy(&busy), ..error }
}

/// Returns an error with what a person can do about its trouble.
pub(crate) fn with_remedy(dialect: &dyn Dialect, error: FetchError, trouble: &Trouble<'_>) -> FetchError {
    FetchError { hint: dialect.remedy(trouble), ..error }
}

#[cfg(test)]
pub(crate) mod tests {
    use http::{StatusCode, header::HeaderMap};

    use super::*;
    use crate::refusal::Identity;

    /// A source that says nothing beyond HTTP.
    #[derive(Debug)]
    pub(crate) struct Plain;

    impl Dialect for Plain {
        fn name(&self) -> &'static str {
            "the mirror"
        }
    }

    #[test]
    fn a_source_without_words_of_its_own_is_understood_by_the_status() {
        let settings = HttpSettings::new("https://mirror").unwrap();
        let url = Url::parse("https://mirror/x?signature=secret").unwrap();
        let check = |status: u16, wait: &str, kind: FetchErrorKind, expected: &str| {
            let headers = [("retry-after".parse().unwrap(), wait.parse().unwrap())];
            let headers: HeaderMap = headers.into_iter().filter(|_| !wait.is_empty()).collect();
            let status = StatusCode::from_u16(status).unwrap();
            let (settings, identity) = (&settings, Identity::Anonymous);
            let refusal = Refusal { settings, identity, asked: &url, url: &url, status, headers: &headers };
            let error = error_of(&Plain, &refusal);
            assert_eq!((error.kind, error.message.as_str()), (kind, expected));
            let seconds =
                wait.parse().ok().filter(|&seconds| kind == FetchErrorKind::RateLimited && seconds > 0);
            assert_eq!(error.retry_after, seconds.map(Duration::from_secs), "{status}");
            assert_eq!(error.hint, None);
        };
        check(404, "", FetchErrorKind::NotFound, "`https://mirror/x` answered 404");
        check(403, "7", FetchErrorKind::Unauthorized, "`https://mirror/x` answered 403");
        check(410, "", FetchErrorKind::Invalid, "`https://mirror/x` answered 410");
        check(408, "", FetchErrorKind::Unavailable, "`https://mirror/x` answered 408");
        let busy = "`https://mirror/x` answered 503: the mirror asks to wait 7 s";
        check(503, "7", FetchErrorKind::RateLimited, busy);
        for no_time in ["", "0"] {
            check(503, no_time, FetchErrorKind::Unavailable, "`https://mirror/x` answered 503");
            check(429, no_time, FetchErrorKind::RateLimited, "`https://mirror/x` answered 429");
        }
    }
}
