//! Parses a request.

use std::ops::Range;

use percent_encoding::percent_decode_str;

/// Holds a request, parsed just as far as a hub needs it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// The headers, with names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    is_http_1_0: bool,
}

impl Request {
    /// Parses a head of HTTP/1.1 without its empty line. `None` where it is not HTTP.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned())))
            .collect::<Option<Vec<_>>>()?;
        let is_http_1_0 = version == "HTTP/1.0";
        let (method, target) = (method.to_owned(), target.to_owned());
        version.starts_with("HTTP/1.").then_some(Self {
            method,
            target,
            headers,
            body: Vec::new(),
            is_http_1_0,
        })
    }

    /// Takes over a request of HTTP/2. Its authority becomes the header `host`, as it is in HTTP/1.1.
    pub(super) fn of_http2(head: &http::request::Parts, body: Vec<u8>) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        let host = head.uri.authority().map(|authority| ("host".to_owned(), authority.to_string()));
        Self {
            method: head.method.to_string(),
            target: head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            headers: host.into_iter().chain(headers).collect(),
            body,
            is_http_1_0: false,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns the token that the client sends.
    pub(super) fn token(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    pub(super) fn body_length(&self) -> usize {
        self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Returns whether the client wants the connection closed after the answer.
    pub(super) fn wants_close(&self) -> bool {
        self.is_http_1_0 || self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Returns the target's path, still encoded. A target in absolute form, as a proxy gets it, loses its origin.
    pub(super) fn raw_path(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        match path.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => path,
        }
    }

    /// Returns the target's path, decoded as a whole: for reading, not for routing.
    pub(super) fn path(&self) -> String {
        decode(self.raw_path())
    }

    /// Splits the path into its segments, and then decodes each.
    pub(super) fn segments(&self) -> Vec<String> {
        self.raw_path().trim_start_matches('/').split('/').map(decode).collect()
    }

    /// Returns a parameter of the query, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
    }

    /// Returns every value that the query has for a parameter, decoded.
    pub(super) fn queries(&self, name: &str) -> Vec<String> {
        let (_, query) = self.target.split_once('?').unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect()
    }

    /// Returns the one range that the client asks for. Several ranges, and other units, count as none, as RFC 9110 allows.
    pub(super) fn range(&self) -> Option<Asked> {
        let spec = self.header("range")?.strip_prefix("bytes=")?;
        let (first, last) = spec.split_once('-')?;
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) => Some(Asked::From(first, Some(last))),
            (Ok(first), Err(_)) if last.trim().is_empty() => Some(Asked::From(first, None)),
            (Err(_), Ok(length)) if first.trim().is_empty() => Some(Asked::Suffix(length)),
            _ => None,
        }
    }
}

/// Holds a range as RFC 9110 section 14.1.2 writes it: it includes the last position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    From(u64, Option<u64>),
    Suffix(u64),
}

impl Asked {
    /// Returns the part of a file of that size. `None` where the file has no such part, which is a 416.
    pub(super) fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => first..last.map_or(size, |last| last.saturating_add(1)).min(size),
            Self::Suffix(length) => size.saturating_sub(length)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
