//! Finds what a request asks for, by the protocol of the Hub.

use std::sync::Arc;

use serde_json::json;

use super::{
    found::{File, Found, Way},
    line::Origin,
    listing,
    refusal::Refusal,
    repo::{Repo, Snapshot},
    request::Request,
    state::{Shared, State},
};

/// Finds what that origin has for the request.
pub(super) fn find(shared: &Shared, state: &mut State, origin: Origin, request: &Request) -> Found {
    match origin {
        Origin::Hub => on_hub(shared, state, request).unwrap_or_else(Found::Refusal),
        Origin::Cdn => on_cdn(state, request),
    }
}

fn on_cdn(state: &mut State, request: &Request) -> Found {
    if state.settings.cdn_refuses_authorization && request.header("authorization").is_some() {
        let text =
            "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>";
        return Found::Refusal(xml(400, text));
    }
    let found = state.signatures.find(request).map(|(path, entry)| (path.to_owned(), entry.clone()));
    let Some((path, entry)) = found else {
        return Found::Refusal(xml(403, "<Error><Code>AccessDenied</Code></Error>"));
    };
    Found::File(File { repo: String::new(), path, entry, way: Way::Cdn, etag: None })
}

/// Makes the CDN's answer to a URL that has expired.
pub(super) fn expired() -> Refusal {
    xml(403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
}

fn xml(status: u16, text: &str) -> Refusal {
    Refusal::status(status).header("Content-Type", "application/xml").body(text.to_owned())
}

fn on_hub(shared: &Shared, state: &State, request: &Request) -> Result<Found, Refusal> {
    if request.token().is_some_and(|token| state.settings.expired.contains(token)) {
        let message = "Invalid credentials in Authorization header";
        return Err(Refusal::status(401).header("X-Error-Message", message));
    }
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api", "models", rest @ ..] => {
            let (id, rest) = split_id(rest, &["revision", "tree", "paths-info", "xet-read-token"]);
            let repo = seek(state, request, &id)?;
            match rest {
                [] => Ok(Found::Info(listing::info(repo, &*snapshot(repo, "main")?, request))),
                ["revision", revision] => {
                    Ok(Found::Info(listing::info(repo, &*snapshot(repo, revision)?, request)))
                }
                ["tree", revision, folder @ ..] => {
                    let snapshot = snapshot(repo, revision)?;
                    listing::tree(shared, &snapshot, &folder.join("/"), request, state.settings.page_size)
                        .ok_or_else(entry_not_found)
                }
                ["paths-info", revision] => {
                    let entries = listing::paths_info(&*snapshot(repo, revision)?, request);
                    Ok(Found::Tree { entries, next: None })
                }
                ["xet-read-token", revision] => {
                    check_gate(state, repo, request)?;
                    snapshot(repo, revision)?;
                    let cas = state.settings.xet_cas.as_deref().ok_or_else(|| Refusal::status(404))?;
                    Ok(Found::XetToken(listing::xet_token(cas, repo)))
                }
                _ => Err(Refusal::status(404)),
            }
        }
        ["api", "whoami-v2"] => {
            let message = "Invalid username or password.";
            let account = state.accounts.of(request.token()).cloned();
            account.map(Found::Account).ok_or_else(|| Refusal::status(401).header("X-Error-Message", message))
        }
        ["api", "resolve-cache", "models", rest @ ..] => {
            let at = rest.len().min(2);
            let repo = seek(state, request, &rest[..at].join("/"))?;
            file(state, repo, request, &rest[at..], true)
        }
        segments => match split_id(segments, &["resolve"]) {
            (id, ["resolve", rest @ ..]) => file(state, seek(state, request, &id)?, request, rest, false),
            _ => Err(Refusal::status(404)),
        },
    }
}

/// Splits a repo's id from what follows it. An id has two segments, or one for old repos; a verb follows, or nothing.
fn split_id<'a>(segments: &'a [&'a str], verbs: &[&str]) -> (String, &'a [&'a str]) {
    let is_end = |at: usize| segments.get(at).is_none_or(|segment| verbs.contains(segment));
    let length = if segments.len() >= 2 && is_end(2) { 2 } else { 1.min(segments.len()) };
    (segments[..length].join("/"), &segments[length..])
}

/// Finds the repo, where it exists for that client.
fn seek<'a>(state: &'a State, request: &Request, id: &str) -> Result<&'a Repo, Refusal> {
    let has_access = request.token().is_some_and(|token| state.settings.granted.contains(token));
    let is_visible = |repo: &&Repo| !repo.is_private || has_access;
    if let Some(repo) = state.repos.get(id).filter(is_visible) {
        return Ok(repo);
    }
    if let Some(repo) = state.repos.in_other_case(id).filter(is_visible) {
        let target = request.target.replacen(id, &repo.id, 1);
        return Err(Refusal::status(307).header("Location", &target));
    }
    let status = if request.token().is_some() { 404 } else { 401 };
    Err(error(status, "RepoNotFound", "Repository not found"))
}

fn snapshot(repo: &Repo, revision: &str) -> Result<Arc<Snapshot>, Refusal> {
    repo.at(revision).ok_or_else(|| {
        error(404, "RevisionNotFound", &format!("Invalid rev id: {}", revision.escape_debug()))
    })
}

/// Refuses a client without access to a gated repo.
fn check_gate(state: &State, repo: &Repo, request: &Request) -> Result<(), Refusal> {
    let has_access = request.token().is_some_and(|token| state.settings.granted.contains(token));
    if repo.is_gated && !has_access {
        let (status, what) = match request.token() {
            None => (401, "You must have access to it and be authenticated to access it. Please log in."),
            Some(_) => (403, "You are not in the authorized list."),
        };
        return Err(error(
            status,
            "GatedRepo",
            &format!("Access to model {} is restricted. {what}", repo.id),
        ));
    }
    Ok(())
}

fn file(
    state: &State,
    repo: &Repo,
    request: &Request,
    rest: &[&str],
    is_cached: bool,
) -> Result<Found, Refusal> {
    check_gate(state, repo, request)?;
    let [revision, path @ ..] = rest else { return Err(Refusal::status(404)) };
    let snapshot = snapshot(repo, revision)?;
    let path = path.join("/");
    let entry = snapshot.files.get(&path).ok_or_else(entry_not_found)?.clone();
    let commit = snapshot.commit.clone();
    let way = match &entry.sha256 {
        Some(_) => Way::ToCdn { commit },
        None if state.settings.resolve_cache && !is_cached => Way::ToCache { commit },
        None => Way::Direct { commit },
    };
    Ok(Found::File(File { repo: repo.id.clone(), path, entry, way, etag: None }))
}

fn entry_not_found() -> Refusal {
    error(404, "EntryNotFound", "Entry not found")
}

fn error(status: u16, code: &str, message: &str) -> Refusal {
    let body = json!({ "error": message }).to_string();
    Refusal::status(status).error(code, message).header("Content-Type", "application/json").body(body)
}
