//! The faults that a test may ask for, and when each strikes.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    ledger::Origin,
    repo::{Draft, Publication},
};

/// A fault, and when it strikes.
///
/// A test that asks for a fault is about what happens then: a hub whose fault never struck panics when it is dropped, and when
/// its faults are cleared, unless the fault [may miss](When::may_miss).
///
/// ```
/// use testkit::hub::{At, Fault, FaultKind, Hub};
///
/// let hub = Hub::start();
/// // The second and the third answer with the bytes of `model.gguf` end in the middle.
/// let cut = Fault::on("model.gguf").after(1).times(2).may_miss().kind(FaultKind::Cut(At::Half));
/// hub.fault(cut);
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) when: When,
    pub(super) kind: FaultKind,
}

impl Fault {
    /// Begins a fault for a file's path in its repo, or for a request's decoded path. One that ends in `/` stands for
    /// all below it, `*` for everything. It strikes for ever, unless told otherwise.
    pub fn on(pattern: &str) -> When {
        When {
            pattern: pattern.to_owned(),
            origin: None,
            method: None,
            skip: 0,
            left: None,
            may_miss: false,
            has_struck: false,
        }
    }

    /// Whether the fault never struck although it had to.
    pub(super) fn has_missed(&self) -> bool {
        !self.when.has_struck && !self.when.may_miss
    }
}

/// When a fault strikes. Only requests count for which its kind makes sense: a cut body needs a body.
#[derive(Clone, Debug)]
#[must_use = "a fault needs a kind"]
pub struct When {
    pattern: String,
    origin: Option<Origin>,
    method: Option<String>,
    skip: u64,
    left: Option<u64>,
    may_miss: bool,
    has_struck: bool,
}

impl When {
    /// Only at that origin.
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Only for that method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Not before so many requests have gone well.
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// So many times, and then no more.
    pub fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    /// One time.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// The fault need not strike: the test is right either way, or expects that the client never asks.
    pub fn may_miss(mut self) -> Self {
        self.may_miss = true;
        self
    }

    /// What happens then.
    pub fn kind(self, kind: FaultKind) -> Fault {
        Fault { when: self, kind }
    }

    pub(super) fn matches(&self, origin: Origin, method: &str, path: &str, file: Option<&str>) -> bool {
        let is_meant = |path: &str| match self.pattern.as_str() {
            "*" => true,
            prefix if prefix.ends_with('/') => path.starts_with(prefix),
            whole => path == whole,
        };
        self.origin.is_none_or(|wanted| wanted == origin)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && (is_meant(path) || file.is_some_and(is_meant))
    }

    /// Counts a request that is meant. Whether the fault strikes.
    pub(super) fn strikes(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let strikes = match &mut self.left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        };
        self.has_struck |= strikes;
        strikes
    }
}

/// Where in an answer something happens.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// Before the answer's first byte.
    BeforeHead,
    /// After so many bytes of this answer's body.
    Byte(u64),
    /// After half of this answer's body.
    Half,
    /// So many bytes before the end of this answer's body.
    BeforeEnd(u64),
}

/// What the header `Content-Length` says. Unless it is right, the connection is closed after the body; over HTTP/2 the stream ends,
/// as ever.
#[derive(Clone, Debug)]
pub enum ContentLength {
    /// It is not there, and the body ends with the connection.
    Missing,
    /// It is not there, and the body is chunked, as is right.
    Chunked,
    /// It is this text: too small, too large, huge or no number.
    Is(String),
}

/// What goes wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// The connection is closed in good order. Over HTTP/2 only the stream is: one that has no head yet is reset.
    Cut(At),
    /// Nothing more comes for that long, or for as long as the client waits; then the answer goes on.
    Stall(At, Option<Duration>),
    /// The connection is reset. What the client has not yet read may be lost, so it may see less than that.
    Reset(At),
    /// The header lies or is missing. The body stays as it is.
    ContentLength(ContentLength),
    /// A Range request is answered with 200 and the whole file.
    IgnoreRange,
    /// A Range request is answered with the range that begins so many bytes later, and says so.
    ShiftRange(u64),
    /// A Range request is answered with the right bytes, and this text as `Content-Range`.
    ContentRange(String),
    /// The file's `ETag` (or `X-Linked-ETag`) is this text, in quotes. The bytes stay.
    Etag(String),
    /// The file has these bytes, and the `ETag` that belongs to them.
    Replace(Bytes),
    /// One bit of the byte at this offset of the file is flipped. Strikes only answers that hold that byte.
    Flip(u64),
    /// So many bytes more come after the body's end; `Content-Length` counts them.
    Extra(u64),
    /// The body is gzip that unfolds to so many zeros, though nobody asked for it.
    GzipBomb(u64),
    /// Any other answer.
    Refuse(Refusal),
    /// A page of HTML, with status 200.
    HtmlPage,
    /// 302 to the very same URL.
    RedirectToSelf,
    /// 302 to this location. The target of the request is appended to a bare `http://host:port`.
    RedirectTo(String),
    /// The header has this value, or is left out.
    Header(&'static str, Option<String>),
    /// Every signed URL expires: the CDN says 403 until the hub was asked again. Strikes at the CDN only.
    ExpireSignatures,
    /// A listing holds files with these paths too, whatever they are.
    Entries(Vec<String>),
    /// A listing's entry for a path is patched as in RFC 7396: `json!({ "size": 3 })`.
    Listed(String, Value),
    /// A listing's next page is itself.
    LinkToSelf,
    /// A listing has always one more page, with a URL of its own.
    LinkForEver,
    /// A listing's next page is at this URL.
    LinkTo(String),
    /// A commit is published as soon as the request is answered.
    Publish(Box<Planned>),
}

impl FaultKind {
    /// A commit is published as soon as the request is answered, so that a branch moves between two calls.
    pub fn publish(publication: Publication) -> Self {
        Self::Publish(Box::new(Planned(publication.draft)))
    }
}

/// A commit that waits for its moment.
#[derive(Clone, Debug)]
pub struct Planned(pub(super) Draft);

/// An answer without the file: a status, and what may come with it.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Refusal {
    /// An answer with that status and no body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// With `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after_s(self, seconds: u64) -> Self {
        self.header("Retry-After", &seconds.to_string())
    }

    /// With `Retry-After` as an HTTP date, so far from now. Such a date has whole seconds.
    ///
    /// # Panics
    /// Where the date is past all calendars.
    #[must_use]
    pub fn retry_after_date(self, from_now: Duration) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the client compares it with its own clock")]
        let now = jiff::Timestamp::now();
        let then = now.checked_add(from_now).expect("a date of our time");
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&then);
        self.header("Retry-After", &date.expect("a date of our time"))
    }

    /// With `RateLimit` as the Hub sends it: a bucket that is empty, and full again in so many seconds; and one that is not
    /// empty.
    #[must_use]
    pub fn rate_limit_s(self, seconds: u64) -> Self {
        self.header("RateLimit", &format!("\"pages\";r=99;t=299, \"api\";r=0;t={seconds}"))
            .header("RateLimit-Policy", "\"fixed window\";\"api\";q=500;w=300")
    }

    /// With `X-Error-Code` and `X-Error-Message`.
    #[must_use]
    pub fn error(self, code: &str, message: &str) -> Self {
        self.header("X-Error-Code", code).header("X-Error-Message", message)
    }

    /// With any header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}
