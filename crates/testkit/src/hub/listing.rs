//! Writes a repo's description and its tree as JSON.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use super::{
    entry::Entry,
    found::Found,
    repo::{Repo, Snapshot},
    request::Request,
    state::Shared,
};

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// `GET /api/models/{id}` and `…/revision/{rev}`. With `?blobs=true` the siblings have sizes and digests. With `?expand=…` the answer has
/// the fields that the request names, beside the ids.
pub(super) fn info(repo: &Repo, snapshot: &Snapshot, request: &Request) -> Value {
    let mut info = whole_info(repo, snapshot, request);
    let named = request.queries("expand");
    if let Some(fields) = info.as_object_mut().filter(|_| !named.is_empty()) {
        fields.retain(|name, _| ["_id", "id"].contains(&name.as_str()) || named.contains(name));
    }
    info
}

fn whole_info(repo: &Repo, snapshot: &Snapshot, request: &Request) -> Value {
    let has_blobs = request.query("blobs").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let sibling = |(path, entry): (&String, &Entry)| {
        let mut sibling = json!({ "rfilename": path });
        if has_blobs {
            let lfs = entry.sha256.as_ref().map(
                |sha256| json!({ "sha256": sha256, "size": entry.content.size(), "pointerSize": entry.pointer_size }),
            );
            sibling["size"] = json!(entry.content.size());
            sibling["blobId"] = json!(entry.oid);
            sibling["lfs"] = json!(lfs);
        }
        sibling
    };
    json!({
        "_id": &snapshot.commit[..24],
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.id.split('/').next(),
        "sha": snapshot.commit,
        "lastModified": "2026-01-01T00:00:00.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "private": repo.is_private,
        "gated": if repo.is_gated { json!("manual") } else { json!(false) },
        "disabled": false,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "cardData": repo.card,
        "siblings": snapshot.files.iter().map(sibling).collect::<Vec<_>>(),
    })
}

/// `GET /api/models/{id}/xet-read-token/{rev}`: where the files lie in Xet, and a token for there.
pub(super) fn xet_token(cas: &str, repo: &Repo) -> Value {
    // Until the year 2100.
    json!({ "casUrl": cas, "accessToken": format!("xet-token-for-{}", repo.id), "exp": 4_102_444_800_u64 })
}

/// `GET /api/models/{id}/tree/{rev}/{folder}`, in pages. `None` where there is no such folder.
pub(super) fn tree(
    shared: &Shared,
    snapshot: &Snapshot,
    folder: &str,
    request: &Request,
    page_size: usize,
) -> Option<Found> {
    let is_recursive = request.query("recursive").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let mut names = BTreeSet::new();
    for path in snapshot.files.keys() {
        let Some(rest) = path.strip_prefix(&below) else { continue };
        let cuts = rest.match_indices('/').map(|(at, _)| at).take(if is_recursive { usize::MAX } else { 1 });
        let folders: Vec<usize> = cuts.collect();
        names.extend(folders.iter().map(|at| (path[..below.len() + at].to_owned(), true)));
        if is_recursive || folders.is_empty() {
            names.insert((path.clone(), false));
        }
    }
    if names.is_empty() && !folder.is_empty() {
        return None;
    }
    let limit = request.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let size = page_size.min(limit).max(1);
    let start: usize = request.query("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let page = names.iter().skip(start).take(size);
    let entries = page
        .map(|(path, is_folder)| if *is_folder { directory(path) } else { scanned(snapshot, path, request) });
    let next = (start + size < names.len()).then(|| next_page(shared, request, &(start + size).to_string()));
    Some(Found::Tree { entries: entries.collect(), next })
}

/// `POST /api/models/{id}/paths-info/{rev}`: the entries of the paths in the body, a form or JSON.
pub(super) fn paths_info(snapshot: &Snapshot, request: &Request) -> Vec<Value> {
    let body = String::from_utf8_lossy(&request.body);
    let paths: Vec<String> = match serde_json::from_str::<Value>(&body) {
        Ok(json) => json["paths"]
            .as_array()
            .map(|paths| paths.iter().filter_map(|path| path.as_str().map(str::to_owned)).collect())
            .unwrap_or_default(),
        Err(_) => body
            .split('&')
            .filter_map(|pair| pair.strip_prefix("paths="))
            .map(|path| percent_decode_str(&path.replace('+', " ")).decode_utf8_lossy().into_owned())
            .collect(),
    };
    paths.iter().filter(|path| snapshot.files.contains_key(*path)).map(|path| blob(snapshot, path)).collect()
}

/// Makes the URL of another page of the same listing.
pub(super) fn next_page(shared: &Shared, request: &Request, cursor: &str) -> String {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<&str> = others.collect();
    let separator = if query.is_empty() { "" } else { "&" };
    let cursor = utf8_percent_encode(cursor, QUERY);
    format!("{}{path}?{}{separator}cursor={cursor}", shared.endpoint(), query.join("&"))
}

/// Makes the entry of a file with that path, which no test published.
pub(super) fn forged(path: &str) -> Value {
    let entry = Entry::git("forged".into());
    json!({ "type": "file", "oid": entry.oid, "size": entry.content.size(), "path": path })
}

fn directory(path: &str) -> Value {
    let oid = &Entry::git(path.to_owned().into()).oid;
    json!({ "type": "directory", "oid": oid, "size": 0, "path": path })
}

/// Makes the entry of a file, with what the scanners say of it where the request asks for that.
fn scanned(snapshot: &Snapshot, path: &str, request: &Request) -> Value {
    let mut blob = blob(snapshot, path);
    let is_expanded = request.query("expand").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if let Some(status) = snapshot.files[path].scan.as_ref().filter(|_| is_expanded) {
        blob["securityFileStatus"] = json!({ "status": status });
    }
    blob
}

fn blob(snapshot: &Snapshot, path: &str) -> Value {
    let entry = &snapshot.files[path];
    let size = entry.content.size();
    let mut blob = json!({ "type": "file", "oid": entry.oid, "size": size, "path": path });
    if let Some(sha256) = &entry.sha256 {
        blob["lfs"] = json!({ "oid": sha256, "size": size, "pointerSize": entry.pointer_size });
    }
    if let Some(hash) = &entry.xet_hash {
        blob["xetHash"] = json!(hash);
    }
    blob
}
