//! Where a connection came to, and what it speaks.

/// Says to which of the two servers a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The hub: its API, and its small files.
    Hub,
    /// The CDN, on another port: large files.
    Cdn,
}

/// Says what a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1: one request at a time.
    Http1,
    /// HTTP/2: many at once.
    Http2,
}

impl Protocol {
    /// Returns its name in ALPN (RFC 7301).
    pub fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    /// Finds the protocol of that name; a client that names none speaks HTTP/1.1.
    pub(super) fn named(name: Option<&[u8]>) -> Self {
        if name == Some(Self::Http2.name()) { Self::Http2 } else { Self::Http1 }
    }
}

/// Limits the head and the body of a request, in bytes each.
pub(super) const LIMIT: usize = 1 << 20;

/// A connection, as the ledger records it with each of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) origin: Origin,
    /// Its number among all that were accepted.
    pub(super) number: u64,
    pub(super) protocol: Protocol,
}
