//! Lets faults strike: each changes what a request is for, or the answer.

use serde_json::Value;

use super::{
    content::Content,
    decompression_bomb,
    entry::Entry,
    fault::{At, FaultKind},
    found::Found,
    line::Origin,
    listing,
    refusal::Refusal,
    reply::{Interruption, InterruptionKind, Reply, refuse},
    request::{Asked, Request},
    routes,
    state::{Shared, State},
};

const LOGIN_PAGE: &str =
    "<!doctype html><html><head><title>Log in</title></head><body><form>Please log in.</form></body></html>";

/// Lists the kinds of fault that strike this request, in the order in which the test added them.
pub(super) fn struck(state: &mut State, origin: Origin, request: &Request, found: &Found) -> Vec<FaultKind> {
    let path = request.path();
    let mut kinds = Vec::new();
    for fault in &mut state.faults {
        if fault.when.matches(origin, &request.method, &path, found.path())
            && makes_sense(&fault.kind, origin, request, found)
            && fault.when.strikes()
        {
            kinds.push(fault.kind.clone());
        }
    }
    kinds
}

fn makes_sense(kind: &FaultKind, origin: Origin, request: &Request, found: &Found) -> bool {
    let is_file = found.path().is_some();
    let is_served = found.served().is_some();
    let has_body = (is_served || found.is_listing()) && !request.is_head();
    match kind {
        FaultKind::Cut(at) | FaultKind::Stall(at, _) | FaultKind::Reset(at) => {
            has_body || matches!(at, At::BeforeHead)
        }
        FaultKind::ContentLength(_) => is_served || found.is_listing(),
        FaultKind::Extra(_) | FaultKind::GzipBomb(_) => has_body,
        FaultKind::IgnoreRange | FaultKind::ShiftRange(_) | FaultKind::ContentRange(_) => {
            is_served && request.range().is_some()
        }
        FaultKind::Flip(offset) => found.served().is_some_and(|file| {
            let size = file.entry.content.size();
            let range = request.range().map_or(Some(0..size), |asked| asked.within(size));
            has_body && range.is_some_and(|range| range.contains(offset))
        }),
        FaultKind::Etag(_) | FaultKind::Replace(_) => is_file,
        FaultKind::ExpireSignatures => origin == Origin::Cdn,
        FaultKind::Entries(_) | FaultKind::Listed(..) => found.is_listing(),
        FaultKind::LinkToSelf | FaultKind::LinkForEver | FaultKind::LinkTo(_) => {
            matches!(found, Found::Tree { .. })
        }
        FaultKind::LinkUpstream(_) => matches!(found, Found::Tree { next: Some(_), .. }),
        FaultKind::Refuse(_)
        | FaultKind::HtmlPage
        | FaultKind::RedirectToSelf
        | FaultKind::RedirectTo(_)
        | FaultKind::Header(..)
        | FaultKind::Publish(_) => true,
    }
}

/// Changes what the request is for, and the request.
pub(super) fn before(
    shared: &Shared,
    state: &mut State,
    request: &mut Request,
    found: &mut Found,
    kind: &FaultKind,
) {
    match (kind, found) {
        (FaultKind::Etag(etag), Found::File(file)) => file.etag = Some(etag.clone()),
        (FaultKind::Replace(bytes), Found::File(file)) => {
            let content = Content::Bytes(bytes.clone());
            let sha256 = file.entry.sha256.is_some().then(|| content.sha256().expect("it is in memory"));
            file.entry = sha256
                .map_or_else(|| Entry::git(bytes.clone()), |sha256| Entry::lfs(content.clone(), sha256));
        }
        (FaultKind::IgnoreRange, _) => request.headers.retain(|(name, _)| name != "range"),
        (FaultKind::ShiftRange(by), _) => {
            if let Some(Asked::From(first, last)) = request.range() {
                let last = last.map(|last| (last + by).to_string()).unwrap_or_default();
                request.headers.retain(|(name, _)| name != "range");
                request.headers.push(("range".to_owned(), format!("bytes={}-{last}", first + by)));
            }
        }
        (FaultKind::ExpireSignatures, found) => {
            state.signatures.expire_all();
            *found = Found::Refusal(routes::expired());
        }
        (FaultKind::Entries(paths), Found::Tree { entries, .. }) => {
            entries.extend(paths.iter().map(|path| listing::forged(path)));
        }
        (FaultKind::Entries(paths), Found::Info(info)) => {
            let siblings = info["siblings"].as_array_mut().expect("a repo has siblings");
            siblings.extend(paths.iter().map(|path| serde_json::json!({ "rfilename": path })));
        }
        (FaultKind::Listed(name, patch), Found::Tree { entries, .. }) => {
            entries.iter_mut().filter(|entry| entry["path"] == **name).for_each(|entry| merge(entry, patch));
        }
        (FaultKind::Listed(name, patch), Found::Info(info)) => {
            let siblings = info["siblings"].as_array_mut().expect("a repo has siblings");
            let named = siblings.iter_mut().filter(|sibling| sibling["rfilename"] == **name);
            named.for_each(|sibling| merge(sibling, patch));
        }
        (FaultKind::LinkToSelf, Found::Tree { next, .. }) => {
            *next = Some(format!("{}{}", shared.endpoint(), request.target));
        }
        (FaultKind::LinkForEver, Found::Tree { next, .. }) => {
            state.pages_without_end += 1;
            let cursor = format!("more.{}", state.pages_without_end);
            *next = Some(listing::next_page(shared, request, &cursor));
        }
        (FaultKind::LinkTo(url), Found::Tree { next, .. }) => *next = Some(url.clone()),
        (FaultKind::LinkUpstream(server), Found::Tree { next: Some(next), .. }) => {
            *next = next.replacen(&shared.endpoint(), server, 1);
        }
        _ => {}
    }
}

/// Changes the answer.
pub(super) fn after(shared: &Shared, origin: Origin, request: &Request, reply: &mut Reply, kind: FaultKind) {
    let redirect = |location: &str| refuse(Refusal::status(302).header("Location", location));
    let own = match origin {
        Origin::Hub => shared.endpoint(),
        Origin::Cdn => shared.cdn_endpoint(),
    };
    match kind {
        FaultKind::Cut(at) => interrupt(reply, at, InterruptionKind::Cut),
        FaultKind::Stall(at, time) => interrupt(reply, at, InterruptionKind::Stall(time)),
        FaultKind::Reset(at) => interrupt(reply, at, InterruptionKind::Reset),
        FaultKind::ContentLength(length) => reply.length = Some(length),
        FaultKind::ContentRange(text) => reply.set("Content-Range", Some(text)),
        FaultKind::Flip(offset) => flip(reply, offset),
        FaultKind::Extra(length) => {
            reply.body.push((Content::Synthetic { size: length, seed: 0 }, 0..length));
        }
        FaultKind::GzipBomb(size) => {
            reply.set_body(decompression_bomb::gzip_of_zeros(size));
            reply.set("Content-Encoding", Some("gzip".to_owned()));
        }
        FaultKind::Refuse(refusal) => *reply = refuse(refusal),
        FaultKind::HtmlPage => {
            let page = Refusal::status(200).header("Content-Type", "text/html; charset=utf-8");
            *reply = refuse(page.body(LOGIN_PAGE));
        }
        FaultKind::RedirectToSelf => *reply = redirect(&format!("{own}{}", request.target)),
        FaultKind::RedirectTo(location) => {
            let is_bare = location.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
            let target = if is_bare { request.target.as_str() } else { "" };
            *reply = redirect(&format!("{location}{target}"));
        }
        FaultKind::Header(name, value) => reply.set(name, value),
        _ => {}
    }
}

fn interrupt(reply: &mut Reply, at: At, kind: InterruptionKind) {
    let size = reply.size();
    let at = match at {
        At::BeforeHead => None,
        At::Byte(bytes) => Some(bytes.min(size)),
        At::Half => Some(size / 2),
        At::BeforeEnd(bytes) => Some(size.saturating_sub(bytes)),
    };
    reply.interruption = Some(Interruption { at, kind });
}

/// Splits the part that holds the byte into what is before, the byte with its lowest bit flipped, and what is after.
fn flip(reply: &mut Reply, offset: u64) {
    let Some(at) = reply.body.iter().position(|(_, range)| range.contains(&offset)) else { return };
    let (content, range) = reply.body.remove(at);
    let mut byte = [0];
    content.read_at(offset, &mut byte).expect("the content can be read");
    let flipped = Content::Bytes(vec![byte[0] ^ 1].into());
    let parts = [(content.clone(), range.start..offset), (flipped, 0..1), (content, offset + 1..range.end)];
    reply.body.splice(at..at, parts);
}

/// Patches JSON as in RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("it was made one").remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
