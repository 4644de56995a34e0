//! Writes the head of an answer, as both protocols need it.

use super::{fault::ContentLength, reply::Reply};

/// Says how a client finds the end of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// The client reads `Content-Length`, which is right.
    Length,
    /// The client reads `Content-Length`, which is wrong or not a number.
    WrongLength,
    /// The client waits for the last chunk.
    Chunks,
    /// The client waits for the end of the connection.
    Connection,
}

/// Holds a status, the headers in their order, and the way in which the body ends.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) end: BodyEnd,
}

impl Head {
    /// Makes the head of an answer. `Content-Length` comes last, as a fault wants it. What else tells a body's end
    /// differs between the protocols, and each writes its own.
    pub(super) fn of(reply: &Reply) -> Self {
        let (length, end) = match &reply.length {
            None => (Some(reply.size().to_string()), BodyEnd::Length),
            Some(ContentLength::Is(text)) => (Some(text.clone()), BodyEnd::WrongLength),
            Some(ContentLength::Chunked) => (None, BodyEnd::Chunks),
            Some(ContentLength::Missing) => (None, BodyEnd::Connection),
        };
        let length = length.map(|length| ("Content-Length".to_owned(), length));
        Self { status: reply.status, headers: reply.headers.iter().cloned().chain(length).collect(), end }
    }
}
