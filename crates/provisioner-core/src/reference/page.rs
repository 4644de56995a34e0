//! Reads the addresses of the Hub's site, as a person pastes them from a browser or from another tool.
//!
//! | address | what `hf:` reads |
//! | --- | --- |
//! | `org/repo/blob/main/d/a.gguf`, also `resolve`, `raw` and `blame` | `org/repo/d/a.gguf` |
//! | `org/repo/tree/v1/onnx` | `org/repo@v1/onnx` |
//! | `org/repo/commit/COMMIT`, also `commits` | `org/repo@COMMIT` |
//! | `org/repo:Q4_K_M`, `org/repo/a.gguf` | the same |

use std::borrow::Cow;

use super::{
    hub::{Refusal, split_ref},
    repo::RepoRef,
    rules::{decode, escape, invalid},
    scheme::HUB,
};
use crate::{
    error::{Error, Result},
    path::RelativePath,
};

/// Reads the path of an address of the Hub's site. `text` is the whole address, as a person wrote it.
pub(super) fn parse_page(text: &str, path: &str) -> Result<RepoRef> {
    // The query of an address may hold a secret, so the error does not show it.
    let shown = match text.split_once('?') {
        Some((address, _)) => format!("{address}?…"),
        None => text.to_owned(),
    };
    let fail = |reason: &str| invalid(&shown, reason);
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let parts = path.split('/').map(|part| decode(part, fail)).collect::<Result<Vec<_>>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let parts = match parts.as_slice() {
        ["models", of_model @ ..] if !of_model.is_empty() => of_model,
        parts => parts,
    };
    let rewritten = match split_kind(parts) {
        Some((repo, kind, rest)) => {
            let refuse = |reason: &str, instead| RepoRef::refused(&shown, Refusal::new(reason, instead));
            rewrite(&repo, kind, rest, refuse)?
        }
        None => parts.iter().map(|part| with_whole_revision(part)).collect::<Vec<_>>().join("/"),
    };
    RepoRef::parse_text(HUB, &shown, &rewritten)
}

/// Returns a part of an address with the slashes that its revision has of its own written `%2F`, as the grammar reads them.
fn with_whole_revision(part: &str) -> Cow<'_, str> {
    match part.split_once('@') {
        Some((name, revision)) if !name.contains('/') => format!("{name}@{}", escape(revision, "%/?")).into(),
        _ => part.into(),
    }
}

/// Splits the parts of an address before the kind of its page. Returns `None` where it has no kind.
fn split_kind<'a>(parts: &'a [&'a str]) -> Option<(String, &'a str, &'a [&'a str])> {
    let is_kind = |part: &str| {
        ["blob", "resolve", "raw", "blame", "tree", "commit", "commits", "discussions"].contains(&part)
    };
    match parts {
        [repo, kind, rest @ ..] if is_kind(kind) && !rest.is_empty() => {
            Some(((*repo).to_owned(), kind, rest))
        }
        [org, repo, kind, rest @ ..] if is_kind(kind) => Some((format!("{org}/{repo}"), kind, rest)),
        _ => None,
    }
}

/// Returns what a page shows, in the grammar of repositories.
fn rewrite(
    repo: &str,
    kind: &str,
    rest: &[&str],
    refuse: impl Fn(&str, Option<String>) -> Error,
) -> Result<String> {
    if repo.contains(['@', ':', '?']) {
        return Err(refuse("the name of its repository has an `@`, a colon or a `?`", None));
    }
    if kind == "discussions" {
        let number = rest.first().filter(|number| number.bytes().all(|b| b.is_ascii_digit()));
        let instead = number.map(|number| format!("{repo}@refs%2Fpr%2F{number}"));
        return Err(refuse("it names a discussion, and not a model", instead));
    }
    let whole = rest.join("/");
    // A slash that the address had as `%2F` is one of the revision's own.
    let first = rest.first().copied().unwrap_or_default();
    let (revision, path) = split_ref(&whole).unwrap_or_else(|| whole.split_at(first.len()));
    let path = path.strip_prefix('/').unwrap_or(path);
    // A page always names a branch. A reference without a revision means the default branch. The name of a repository without
    // an organisation and a path would read as `org/repo`, so there the branch stays.
    let is_default = revision.is_empty() || revision == "main" && (repo.contains('/') || path.is_empty());
    let revision = if is_default { String::new() } else { format!("@{}", escape(revision, "%/?")) };
    Ok(match (kind, path) {
        (_, "") => format!("{repo}{revision}"),
        (_, file) => format!("{repo}{revision}/{file}"),
    })
}
