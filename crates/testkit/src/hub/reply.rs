//! Makes the answer to a request.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    content::Content,
    entry::Entry,
    fault::ContentLength,
    found::{File, Found, Way},
    refusal::Refusal,
    request::Request,
    state::{Shared, State},
};

/// All but the unreserved characters and the slash, which a path in a URL keeps.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// An answer that is ready to be sent.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// The parts of the body, one after the other.
    pub(super) body: Vec<(Content, Range<u64>)>,
    /// What `Content-Length` says instead of the truth.
    pub(super) length: Option<ContentLength>,
    pub(super) interruption: Option<Interruption>,
}

/// Describes something that happens while the hub sends the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interruption {
    /// After so many bytes of the body; `None` is before the head.
    pub(super) at: Option<u64>,
    pub(super) kind: InterruptionKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum InterruptionKind {
    Cut,
    Reset,
    Stall(Option<Duration>),
}

impl Reply {
    fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), length: None, interruption: None }
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let range = 0..bytes.len() as u64;
        self.body = vec![(Content::Bytes(bytes), range)];
        self
    }

    /// Returns the body's length, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.body.iter().map(|(_, range)| range.end - range.start).sum()
    }

    /// Sets a header, or leaves it out.
    pub(super) fn set(&mut self, name: &str, value: Option<String>) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.extend(value.map(|value| (name.to_owned(), value)));
    }

    pub(super) fn set_body(&mut self, bytes: Bytes) {
        let range = 0..bytes.len() as u64;
        self.body = vec![(Content::Bytes(bytes), range)];
    }
}

/// Makes the right answer. A redirect to the CDN signs a URL.
pub(super) fn reply(shared: &Shared, state: &mut State, request: &Request, found: Found) -> Reply {
    match found {
        Found::Refusal(refusal) => refuse(refusal),
        Found::Info(value) | Found::Account(value) => json(&value),
        Found::XetToken(value) => xet_token(&value),
        Found::Tree { entries, next } => {
            let reply = json(&Value::Array(entries));
            match next {
                Some(next) => reply.header("Link", format!("<{next}>; rel=\"next\"")),
                None => reply,
            }
        }
        Found::File(file) => hand_out(shared, state, request, file),
    }
}

pub(super) fn refuse(refusal: Refusal) -> Reply {
    let mut reply = Reply::new(refusal.status).bytes(refusal.body);
    reply.headers = refusal.headers;
    reply
}

fn json(value: &Value) -> Reply {
    Reply::new(200).header("Content-Type", "application/json; charset=utf-8").bytes(value.to_string())
}

fn hand_out(shared: &Shared, state: &mut State, request: &Request, file: File) -> Reply {
    let File { repo, path, entry, way, etag } = file;
    let etag = format!("\"{}\"", etag.as_deref().unwrap_or(entry.etag()));
    let size = entry.content.size().to_string();
    match way {
        Way::ToCdn { commit } => {
            let xet = xet_headers(shared, state, &repo, &commit, &entry);
            let target = state.signatures.sign(&repo, &path, entry);
            let mut reply = Reply::new(302)
                .header("Location", format!("{}{target}", shared.cdn_endpoint()))
                .header("X-Repo-Commit", commit)
                .header("X-Linked-ETag", etag)
                .header("X-Linked-Size", size);
            reply.headers.extend(xet);
            reply
        }
        Way::ToCache { commit } => {
            let target = format!("/api/resolve-cache/models/{repo}/{commit}/{path}");
            Reply::new(307)
                .header("Location", utf8_percent_encode(&target, PATH).to_string())
                .header("X-Repo-Commit", commit)
                .header("X-Linked-ETag", etag)
                .header("X-Linked-Size", size)
        }
        Way::Direct { commit } => {
            ranged(request, &entry.content).header("ETag", etag).header("X-Repo-Commit", commit)
        }
        Way::Cdn => ranged(request, &entry.content).header("ETag", etag),
    }
}

/// Makes the answer with a token for Xet, which says all of it in its headers too.
fn xet_token(value: &Value) -> Reply {
    let text = |name: &str| value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned);
    json(value)
        .header("X-Xet-Cas-Url", text("casUrl"))
        .header("X-Xet-Access-Token", text("accessToken"))
        .header("X-Xet-Token-Expiration", text("exp"))
}

/// Makes the headers by which the redirect to the CDN names a file in Xet. The CDN itself does not name it.
fn xet_headers(
    shared: &Shared,
    state: &State,
    repo: &str,
    commit: &str,
    entry: &Entry,
) -> Vec<(String, String)> {
    let (Some(hash), Some(cas)) = (&entry.xet_hash, &state.settings.xet_cas) else { return Vec::new() };
    let token =
        format!("<{}/api/models/{repo}/xet-read-token/{commit}>; rel=\"xet-auth\"", shared.endpoint());
    let plan = format!("<{cas}/v1/reconstructions/{hash}>; rel=\"xet-reconstruction-info\"");
    vec![("X-Xet-Hash".to_owned(), hash.clone()), ("Link".to_owned(), format!("{token}, {plan}"))]
}

/// Sends the whole, the part that the client asks for, or 416.
fn ranged(request: &Request, content: &Content) -> Reply {
    let size = content.size();
    let (status, range) = match request.range() {
        None => (200, 0..size),
        Some(asked) => match asked.within(size) {
            Some(range) => (206, range),
            None => return Reply::new(416).header("Content-Range", format!("bytes */{size}")),
        },
    };
    let mut reply = Reply::new(status)
        .header("Content-Type", "application/octet-stream")
        .header("Accept-Ranges", "bytes");
    if status == 206 {
        let value = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        reply = reply.header("Content-Range", value);
    }
    reply.body = vec![(content.clone(), range)];
    reply
}
