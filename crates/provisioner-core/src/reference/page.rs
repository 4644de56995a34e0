//! Reads the addresses of the Hub's site, as a person pastes them from a browser.

use std::collections::BTreeSet;

use super::{
    repo::{RepoRef, RepoTarget, Selection},
    rules::{check_repo, check_revision, decode, invalid},
    scheme::HUB,
    shard::at_first_shard,
};
use crate::{error::Result, path::RelativePath};

/// Lists the Hub's hosts, as the address bar of a browser shows them.
const HOSTS: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];

/// Reads the address of a model's page. Returns `None` for the address of another site.
pub(super) fn parse_url(text: &str, after_scheme: &str) -> Option<Result<RepoRef>> {
    let rest = after_scheme.strip_prefix("//")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    HOSTS.iter().any(|hub| host.eq_ignore_ascii_case(hub)).then(|| parse_page(text, path))
}

fn parse_page(text: &str, path: &str) -> Result<RepoRef> {
    let of = |repo, revision, target| RepoRef { scheme: HUB.to_owned(), repo, revision, target };
    let fail = |reason: &str| invalid(text, reason);
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let parts = path.split('/').map(|part| decode(part, fail)).collect::<Result<Vec<_>>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (repo, kind, rest) = match parts.as_slice() {
        ["datasets" | "spaces" | "docs" | "models" | "api", ..] => {
            return Err(fail("the page is not a model's"));
        }
        [repo, kind @ ("blob" | "resolve" | "tree" | "raw"), rest @ ..] => {
            (check_repo(repo, fail)?, *kind, rest)
        }
        [org, repo, kind @ ("blob" | "resolve" | "tree" | "raw"), rest @ ..] => {
            (check_repo(&format!("{org}/{repo}"), fail)?, *kind, rest)
        }
        [repo] | [repo, ""] => (check_repo(repo, fail)?, "", [].as_slice()),
        [org, repo] => (check_repo(&format!("{org}/{repo}"), fail)?, "", [].as_slice()),
        _ => return Err(fail("the page is not a model's")),
    };
    let whole = RepoTarget::Repository(Selection::default());
    let Some((revision, path)) = rest.split_first() else {
        return Ok(of(repo, None, whole));
    };
    // A page always names a branch. A reference without a revision means the default branch.
    let revision = if *revision == "main" { None } else { Some(check_revision(revision, fail)?) };
    let target = match (kind, path) {
        (_, []) => whole,
        ("tree", folder) => {
            let include = BTreeSet::from([format!("{}/*", RelativePath::new(folder.join("/"))?)]);
            RepoTarget::Repository(Selection { include, ..Selection::default() })
        }
        (_, file) => RepoTarget::Path(RelativePath::new(at_first_shard(&file.join("/")))?),
    };
    Ok(of(repo, revision, target))
}
