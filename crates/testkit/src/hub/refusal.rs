//! Answers that carry no file.

use std::time::Duration;

use bytes::Bytes;

/// An answer without the file: a status, with headers and a body.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Refusal {
    /// Makes an answer with that status and without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// Adds `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after_s(self, seconds: u64) -> Self {
        self.header("Retry-After", &seconds.to_string())
    }

    /// Adds `Retry-After` as an HTTP date, so far from now. Such a date has whole seconds.
    ///
    /// # Panics
    /// Where the date lies outside every calendar.
    #[must_use]
    pub fn retry_after_date(self, from_now: Duration) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the client compares it with its own clock")]
        let now = jiff::Timestamp::now();
        let then = now.checked_add(from_now).expect("a date of our time");
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&then);
        self.header("Retry-After", &date.expect("a date of our time"))
    }

    /// Adds `RateLimit` as the Hub sends it: a bucket that is empty, and full again in so many seconds; and one that is not
    /// empty.
    #[must_use]
    pub fn rate_limit_s(self, seconds: u64) -> Self {
        self.header("RateLimit", &format!("\"pages\";r=99;t=299, \"api\";r=0;t={seconds}"))
            .header("RateLimit-Policy", "\"fixed window\";\"api\";q=500;w=300")
    }

    /// Adds `X-Error-Code` and `X-Error-Message`.
    #[must_use]
    pub fn error(self, code: &str, message: &str) -> Self {
        self.header("X-Error-Code", code).header("X-Error-Message", message)
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body of the answer.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}
