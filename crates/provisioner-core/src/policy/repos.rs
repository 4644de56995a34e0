//! Decides which repositories a reference may name.
//!
//! A pattern is an id, or the beginning of one with `/*` behind it, for every scheme that is fetched: `hf:org/*`,
//! `oci:registry.example/*`. Without a scheme it names a repository of the Hub. A pattern never names a part of a word: `hf:org/*` does
//! not allow `hf:organ/x`.

use crate::{
    denial::Denial,
    reference::{ModelRef, RepoRef},
};

/// Returns the denial of a reference's repository. No pattern binds a local path.
pub(super) fn refuse(repos: Option<&[String]>, reference: &ModelRef) -> Option<Denial> {
    let repos = repos.filter(|_| !reference.is_local())?;
    if repos.iter().any(|pattern| matches(pattern, reference)) {
        return None;
    }
    let repo = pattern_of(reference);
    let denial = Denial::new("repos", repo.clone(), format!("the repository `{repo}`"));
    Some(denial.with_remedy(format!("add `{repo}` to the policy's `repos`")))
}

/// Returns the pattern that allows just the repository of a reference, or just its id where it has no repository.
pub(crate) fn pattern_of(reference: &ModelRef) -> String {
    match reference.repository() {
        Some(repo) => format!("{}:{}", repo.scheme(), repo.repo()),
        None => reference.id(),
    }
}

/// The source whose repositories a pattern without a scheme names.
const HUB: &str = "hf";

/// Returns whether a pattern allows a reference that is fetched.
pub(super) fn matches(pattern: &str, reference: &ModelRef) -> bool {
    let (scheme, pattern) = pattern.split_once(':').unwrap_or((HUB, pattern));
    if !scheme.eq_ignore_ascii_case(reference.scheme()) {
        return false;
    }
    match reference {
        ModelRef::Repo(repo) => matches_repo(pattern, repo),
        other => matches_text(pattern, &other.id()),
    }
}

/// Returns whether a pattern allows a repository. `org/*` allows every repository of `org`. Letter case counts where it does
/// for the source.
fn matches_repo(pattern: &str, repo: &RepoRef) -> bool {
    let is_same = |a: &str, b: &str| if repo.folds_case() { a.eq_ignore_ascii_case(b) } else { a == b };
    match pattern.strip_suffix("/*") {
        Some(org) => repo.repo().split_once('/').is_some_and(|(found, _)| is_same(found, org)),
        None => is_same(pattern, repo.repo()),
    }
}

/// Returns whether a pattern allows a text whose parts only its fetcher knows. `/*` at the end allows all below, but for a
/// text that could climb out of it.
fn matches_text(pattern: &str, id: &str) -> bool {
    let Some((_, text)) = id.split_once(':') else { return false };
    let (pattern, text) = (pattern.trim_start_matches('/'), text.trim_start_matches('/'));
    match pattern.strip_suffix("/*") {
        Some(above) => {
            let is_plain = !text.contains(['%', '\\']) && !text.split('/').any(|part| part == "..");
            is_plain
                && text.strip_prefix(above).is_some_and(|below| below.len() > 1 && below.starts_with('/'))
        }
        None => pattern == text,
    }
}
