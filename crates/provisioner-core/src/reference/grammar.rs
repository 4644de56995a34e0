//! Reads the repository grammar: `org/repo[@revision][/path | :QUANTIZATION | ?include=…&exclude=…]`.

use super::{
    hub::{self, Refusal},
    repo::{RepoRef, RepoTarget, Selection},
    rules::{check_quantization, check_repo, check_revision, invalid, invalid_instead, unescape},
    scheme::HUB,
    shard::at_first_shard,
};
use crate::{
    error::{Error, Result},
    path::RelativePath,
};

impl RepoRef {
    /// Reads what follows the colon of a scheme that has repositories.
    ///
    /// ```
    /// use provisioner_core::reference::RepoRef;
    ///
    /// let reference = RepoRef::parse("mem", "org/repo@v1:q8_0")?;
    /// assert_eq!((reference.repo(), reference.revision()), ("org/repo", Some("v1")));
    /// assert_eq!(reference.to_string(), "mem:org/repo@v1:Q8_0");
    /// # Ok::<(), provisioner_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidReference`] and [`Error::UnsafePath`] for a text that does not fit the grammar.
    pub fn parse(scheme: &str, rest: &str) -> Result<Self> {
        Self::parse_text(scheme, &format!("{scheme}:{rest}"), rest)
    }

    /// Reads what follows the colon. An error shows `text`, as the caller wrote it.
    pub(super) fn parse_text(scheme: &str, text: &str, rest: &str) -> Result<Self> {
        let rest = tidy(rest);
        if scheme != HUB {
            return Self::parse_plain(scheme, text, rest);
        }
        let plain = hub::plain(rest).map_err(|refusal| Self::refused(text, refusal))?;
        Self::parse_plain(scheme, text, &plain)
    }

    /// Reads what may stand behind `hf:`, and guesses what the caller means where it may not.
    pub(super) fn guess(rest: &str) -> Option<Self> {
        match hub::plain(tidy(rest)) {
            Ok(plain) => Self::parse_plain(HUB, rest, &plain).ok(),
            Err(refusal) => Self::meant(refusal),
        }
    }

    /// Returns the error of a text that is not a reference to a model of the Hub. Its hint is one that parses.
    pub(super) fn refused(text: &str, refusal: Refusal) -> Error {
        let reason = refusal.reason.clone();
        match Self::meant(refusal) {
            Some(instead) => invalid_instead(text, &reason, &[instead.to_string()]),
            None => invalid(text, &reason),
        }
    }

    /// Returns what the caller of a refused text means, where that is a reference.
    fn meant(refusal: Refusal) -> Option<Self> {
        let plain = hub::plain(&refusal.instead?).ok()?;
        Self::parse_plain(HUB, &plain, &plain).ok()
    }

    /// Reads a text of the grammar, without what only some source has in its references.
    fn parse_plain(scheme: &str, text: &str, rest: &str) -> Result<Self> {
        let of = |repo, revision, target| Self { scheme: scheme.to_owned(), repo, revision, target };
        let fail = |reason: &str| invalid(text, reason);
        let (head, path) = split_head(rest);
        if let Some(path) = path {
            let (repo, revision, quantization) = split_repo(head, fail)?;
            if quantization.is_some() {
                return Err(fail("a reference names a file or a quantization, not both"));
            }
            let path = RelativePath::new(at_first_shard(path))?;
            return Ok(of(repo, revision, RepoTarget::Path(path)));
        }
        let (head, query) = match head.split_once('?') {
            Some((head, query)) => (head, Some(query)),
            None => (head, None),
        };
        let (repo, revision, quantization) = split_repo(head, fail)?;
        let target = match (quantization, query) {
            (Some(_), Some(_)) => {
                return Err(fail(
                    "a quantization is a selection already, and takes no `include` or `exclude`",
                ));
            }
            (Some(quantization), None) => RepoTarget::Quantization(quantization),
            (None, query) => RepoTarget::Repository(parse_selection(query.unwrap_or_default(), fail)?),
        };
        Ok(of(repo, revision, target))
    }
}

/// Returns the text without the two slashes of an address, and without a slash at its end.
fn tidy(rest: &str) -> &str {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    rest.strip_suffix('/').filter(|rest| rest.contains('/')).unwrap_or(rest)
}

/// Splits a text at the first slash after the repository's name: `@`, `:` and `?` mean something only before it.
fn split_head(rest: &str) -> (&str, Option<&str>) {
    let first = rest.find('/').unwrap_or(rest.len());
    // One segment alone is the whole name where `@`, `:` or `?` already follows it: `gpt2@main/config.json`.
    let end = if rest[..first].contains(['@', ':', '?']) || first == rest.len() {
        first
    } else {
        let second = rest[first + 1..].find('/');
        second.map_or(rest.len(), |second| first + 1 + second)
    };
    match rest[end..].strip_prefix('/') {
        Some(path) => (&rest[..end], Some(path)),
        None => (&rest[..end], None),
    }
}

type RepoParts = (String, Option<String>, Option<String>);

/// Splits `repo[@revision][:QUANTIZATION]`.
fn split_repo(head: &str, fail: impl Fn(&str) -> Error + Copy) -> Result<RepoParts> {
    let (head, quantization) = match head.split_once(':') {
        Some((head, quantization)) => (head, Some(check_quantization(quantization, fail)?)),
        None => (head, None),
    };
    let (repo, revision) = match head.split_once('@') {
        Some((repo, revision)) => (repo, Some(check_revision(&unescape(revision, "%/?"), fail)?)),
        None => (head, None),
    };
    Ok((check_repo(repo, fail)?, revision, quantization))
}

/// Reads `include=PATTERN&exclude=PATTERN`, in any number and order.
fn parse_selection(query: &str, fail: impl Fn(&str) -> Error) -> Result<Selection> {
    let mut selection = Selection::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((_, "")) => return Err(fail("a pattern is empty")),
            Some(("include", pattern)) => selection.include.insert(unescape(pattern, "%&/")),
            Some(("exclude", pattern)) => selection.exclude.insert(unescape(pattern, "%&/")),
            _ => return Err(fail("after `?` come `include=` and `exclude=`, joined by `&`")),
        };
    }
    Ok(selection)
}
