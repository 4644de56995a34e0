//! What the hub has seen and sent.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    connection::Line,
    request::{Asked, Request},
};

/// Which of the two servers a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The hub: its API, and its small files.
    Hub,
    /// The CDN, on another port: large files.
    Cdn,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1: one request at a time.
    Http1,
    /// HTTP/2: many at once.
    Http2,
}

impl Protocol {
    /// Its name in ALPN (RFC 7301).
    pub fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    /// The protocol of that name; without one it is HTTP/1.1.
    pub(super) fn named(name: Option<&[u8]>) -> Self {
        if name == Some(Self::Http2.name()) { Self::Http2 } else { Self::Http1 }
    }
}

/// A connection that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where it came to.
    pub origin: Origin,
    /// What it speaks. `None` where the client and the hub did not come to speak: the handshake failed, or goes on.
    pub protocol: Option<Protocol>,
}

/// A request, and what became of it. It is recorded before the answer is sent.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it came to.
    pub origin: Origin,
    /// `GET` and so on.
    pub method: String,
    /// The target's path, decoded.
    pub path: String,
    /// The target as it was sent, with its query.
    pub raw_target: String,
    /// The file's path in its repo, on either origin, where the request is for one.
    pub file: Option<String>,
    /// The first and the last byte that were asked for, both included, as the header has them. `None` for a suffix.
    pub range: Option<(u64, Option<u64>)>,
    /// The header of that name.
    pub authorization: Option<String>,
    /// Every header, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The answer's status; 0 where there was none.
    pub status: u16,
    /// The number of the connection that it came over: the same for all requests of one.
    pub connection: u64,
    /// What that connection speaks.
    pub protocol: Protocol,
    /// How much of the body was given to the socket.
    sent: Arc<AtomicU64>,
}

impl Seen {
    pub(super) fn new(line: Line, request: &Request, file: Option<&str>, status: u16) -> Self {
        let range = request.range().and_then(|asked| match asked {
            Asked::From(first, last) => Some((first, last)),
            Asked::Suffix(_) => None,
        });
        Self {
            origin: line.origin,
            method: request.method.clone(),
            path: request.path(),
            raw_target: request.target.clone(),
            file: file.map(str::to_owned),
            range,
            authorization: request.header("authorization").map(str::to_owned),
            headers: request.headers.clone(),
            status,
            connection: line.number,
            protocol: line.protocol,
            sent: Arc::default(),
        }
    }

    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// How many bytes of the answer's body were given to the socket so far: at least those that the client has read.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Whether this is about that path: a file's in its repo, or the request's own.
    pub fn is_for(&self, path: &str) -> bool {
        self.file.as_deref() == Some(path) || self.path == path
    }

    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }
}

/// The requests and the connections since the counts were last reset, and how many connections there were at once.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) seen: Vec<Seen>,
    accepted: BTreeMap<u64, Accepted>,
    /// The number of the next connection.
    next: u64,
    open: usize,
    peak: usize,
}

impl Ledger {
    /// Counts a connection, and returns its number.
    pub(super) fn connected(&mut self, origin: Origin) -> u64 {
        self.open += 1;
        self.peak = self.peak.max(self.open);
        self.next += 1;
        self.accepted.insert(self.next, Accepted { origin, protocol: None });
        self.next
    }

    /// Notes what a connection speaks. One from before the last reset is forgotten.
    pub(super) fn settled(&mut self, number: u64, protocol: Protocol) {
        if let Some(accepted) = self.accepted.get_mut(&number) {
            accepted.protocol = Some(protocol);
        }
    }

    pub(super) fn accepted(&self) -> Vec<Accepted> {
        self.accepted.values().copied().collect()
    }

    pub(super) fn disconnected(&mut self) {
        self.open -= 1;
    }

    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    pub(super) fn reset(&mut self) {
        self.seen.clear();
        self.accepted.clear();
        self.peak = self.open;
    }
}
