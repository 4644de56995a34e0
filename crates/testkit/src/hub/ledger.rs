//! Records what the hub received and sent.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    line::{Line, Origin, Protocol},
    request::{Asked, Request},
};

/// A connection that the hub accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The server that it came to.
    pub origin: Origin,
    /// The protocol that client and hub agreed on. `None` where the handshake failed, or goes on.
    pub protocol: Option<Protocol>,
}

/// A request, and what became of it. The hub records it before it sends the answer.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The server that it came to.
    pub origin: Origin,
    /// The method, such as `GET`.
    pub method: String,
    /// The target's path, decoded.
    pub path: String,
    /// The target as the client sent it, with its query.
    pub raw_target: String,
    /// The file's path in its repo, on either origin, where the request is for one.
    pub file: Option<String>,
    /// The first and the last byte that the client asks for, both included, as the header has them. `None` for a suffix.
    pub range: Option<(u64, Option<u64>)>,
    /// The value of the header `Authorization`.
    pub authorization: Option<String>,
    /// Every header, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The answer's status; 0 where the hub sent none.
    pub status: u16,
    /// The number of the connection that it came over.
    pub connection: u64,
    /// The protocol of that connection.
    pub protocol: Protocol,
    /// How many bytes of the body the hub gave to the socket.
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

    /// Returns a header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns how many bytes of the answer's body the hub gave to the socket so far: at least those that the client has read.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Returns whether the request is for that path: a file's in its repo, or the request's own.
    pub fn is_for(&self, path: &str) -> bool {
        self.file.as_deref() == Some(path) || self.path == path
    }

    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }
}

/// The requests and the connections since the last reset, and how many connections were open at once.
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

    /// Notes what a connection speaks. It passes over one from before the last reset.
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
