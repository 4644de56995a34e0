//! Describes the faults that a test may add, and when each strikes.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{line::Origin, refusal::Refusal, repo::Draft};

/// Describes a fault, and when it strikes.
///
/// A test that adds a fault is about what happens then. A hub whose fault never struck therefore panics when the test drops it
/// or clears its faults, unless the fault [may miss](When::may_miss).
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
    /// Begins a fault for a file's path in its repo, or for a request's decoded path. A path that ends in `/` stands for
    /// all below it, and `*` for everything. The fault strikes every time, unless the test says otherwise.
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

    /// Returns whether the fault never struck although it had to.
    pub(super) fn has_missed(&self) -> bool {
        !self.when.has_struck && !self.when.may_miss
    }
}

/// Says when a fault strikes. Only requests count for which its kind makes sense: a cut body needs a body.
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
    /// Strikes only at that origin.
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Strikes only for that method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Lets so many requests go well first.
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes so many times, and then no more.
    pub fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    /// Strikes a single time, and then no more.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Lets the fault miss: the test is right either way, or expects that the client never asks.
    pub fn may_miss(mut self) -> Self {
        self.may_miss = true;
        self
    }

    /// Says what happens then, and makes the fault.
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

    /// Counts a request that matches, and returns whether the fault strikes.
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

/// Says where in an answer something happens.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// It happens before the answer's first byte.
    BeforeHead,
    /// It happens after so many bytes of this answer's body.
    Byte(u64),
    /// It happens after half of this answer's body.
    Half,
    /// It happens so many bytes before the end of this answer's body.
    BeforeEnd(u64),
}

/// Says what the header `Content-Length` says. Unless it is right, the hub closes the connection after the body; over
/// HTTP/2 it ends the stream, as always.
#[derive(Clone, Debug)]
pub enum ContentLength {
    /// The hub leaves the header out, and ends the body with the connection.
    Missing,
    /// The hub leaves the header out, and sends the body in chunks, as HTTP allows.
    Chunked,
    /// The hub sends this text: too small, too large, huge or not a number.
    Is(String),
}

/// Says what the hub does wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// The hub closes the connection in good order. Over HTTP/2 it ends the stream alone, and resets a stream without a
    /// head.
    Cut(At),
    /// The hub sends nothing for that long, or for as long as the client waits; then it goes on.
    Stall(At, Option<Duration>),
    /// The hub resets the connection. The client may lose what it has not read yet, so it may see less than that.
    Reset(At),
    /// The hub sends a wrong `Content-Length`, or none. The body stays as it is.
    ContentLength(ContentLength),
    /// The hub answers a Range request with 200 and the whole file.
    IgnoreRange,
    /// The hub answers a Range request with the range that begins so many bytes later, and says so.
    ShiftRange(u64),
    /// The hub answers a Range request with the right bytes, and with this text as `Content-Range`.
    ContentRange(String),
    /// The hub sends this text, in quotes, as the file's `ETag` (or `X-Linked-ETag`). The bytes stay.
    Etag(String),
    /// The hub sends these bytes as the file, and the `ETag` that belongs to them.
    Replace(Bytes),
    /// The hub flips one bit of the byte at this offset of the file. The fault strikes only answers that hold that byte.
    Flip(u64),
    /// The hub sends so many bytes more after the body's end, and counts them in `Content-Length`.
    Extra(u64),
    /// The hub sends gzip that unfolds to so many zeros, though the client does not accept gzip.
    GzipBomb(u64),
    /// The hub sends another answer instead.
    Refuse(Refusal),
    /// The hub sends a page of HTML, with status 200.
    HtmlPage,
    /// The hub redirects with 302 to the very same URL.
    RedirectToSelf,
    /// The hub redirects with 302 to this location. It appends the target of the request to a bare `http://host:port`.
    RedirectTo(String),
    /// The hub sends the header with this value, or leaves it out.
    Header(&'static str, Option<String>),
    /// The hub lets every signed URL expire: the CDN says 403 until the client asks the hub again. The fault strikes at
    /// the CDN only.
    ExpireSignatures,
    /// The hub adds files with these paths to a listing, whatever they are.
    Entries(Vec<String>),
    /// The hub patches a listing's entry for a path as in RFC 7396: `json!({ "size": 3 })`.
    Listed(String, Value),
    /// The hub names a listing's page as its own next page.
    LinkToSelf,
    /// The hub names one more page of a listing each time, with a URL of its own.
    LinkForEver,
    /// The hub names this URL as a listing's next page.
    LinkTo(String),
    /// The hub names a listing's next page by its address at this server, such as `https://hub.example`: a mirror that passes
    /// the links of its upstream on. The fault strikes only pages that another one follows.
    LinkUpstream(String),
    /// The hub publishes a commit as soon as it has answered the request.
    Publish(Box<Planned>),
}

/// Holds a commit until a fault publishes it.
#[derive(Clone, Debug)]
pub struct Planned(pub(super) Draft);
