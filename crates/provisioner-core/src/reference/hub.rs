//! A model on the Hugging Face Hub.

use std::{collections::BTreeSet, fmt};

use percent_encoding::percent_decode_str;

use super::shard::at_first_shard;
use crate::{Error, RelativePath, Result, key_of};

/// The Hub's hosts, as a browser's address bar shows them.
const HOSTS: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];

/// A repository on the Hub, at a revision, and what of it belongs to the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HubRef {
    /// `org/repo`, or `repo` alone for the few old ones without an organisation.
    repo: String,
    revision: Option<String>,
    target: HubTarget,
}

/// What of a repository belongs to the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HubTarget {
    /// The files that an engine loads, or those that the selection names.
    Repository(Selection),
    /// One file, or the set of shards that it is the first of.
    File(RelativePath),
    /// The GGUF file (or set of shards) of one quantization, in upper case.
    Quantization(String),
}

/// Patterns of the files to take and to leave out. Sorted, for it is part of the model's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selection {
    /// Patterns of the files to take; none means the engine's usual files.
    pub include: BTreeSet<String>,
    /// Patterns of files to leave out.
    pub exclude: BTreeSet<String>,
}

impl Selection {
    /// Whether it names no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

impl HubRef {
    /// Reads what follows `hf:`.
    pub(super) fn parse(text: &str, rest: &str) -> Result<Self> {
        let fail = |reason: &str| invalid(text, reason);
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let rest = rest.strip_suffix('/').filter(|rest| rest.contains('/')).unwrap_or(rest);
        let (head, path) = split_head(rest);
        if let Some(path) = path {
            let (repo, revision, quantization) = split_repo(head, fail)?;
            if quantization.is_some() {
                return Err(fail("a reference names a file or a quantization, not both"));
            }
            let path = RelativePath::new(at_first_shard(path))?;
            return Ok(Self { repo, revision, target: HubTarget::File(path) });
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
            (Some(quantization), None) => HubTarget::Quantization(quantization),
            (None, query) => HubTarget::Repository(parse_selection(query.unwrap_or_default(), fail)?),
        };
        Ok(Self { repo, revision, target })
    }

    /// Reads a page of the Hub's site, as pasted from a browser. `None` where the address is not of that site.
    pub(super) fn parse_url(text: &str, after_scheme: &str) -> Option<Result<Self>> {
        let rest = after_scheme.strip_prefix("//")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        HOSTS.iter().any(|hub| host.eq_ignore_ascii_case(hub)).then(|| Self::parse_page(text, path))
    }

    fn parse_page(text: &str, path: &str) -> Result<Self> {
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
        let whole = HubTarget::Repository(Selection::default());
        let Some((revision, path)) = rest.split_first() else {
            return Ok(Self { repo, revision: None, target: whole });
        };
        // A page always names a branch; the default one is what a reference without a revision means.
        let revision = if *revision == "main" { None } else { Some(check_revision(revision, fail)?) };
        let target = match (kind, path) {
            (_, []) => whole,
            ("tree", folder) => {
                let include = BTreeSet::from([format!("{}/*", RelativePath::new(folder.join("/"))?)]);
                HubTarget::Repository(Selection { include, ..Selection::default() })
            }
            (_, file) => HubTarget::File(RelativePath::new(at_first_shard(&file.join("/")))?),
        };
        Ok(Self { repo, revision, target })
    }

    /// The reference at a commit.
    #[must_use]
    pub fn at(mut self, commit: &str) -> Self {
        self.revision = Some(commit.to_owned());
        self
    }

    /// The reference to the whole of the same repository.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.target = HubTarget::Repository(Selection::default());
        self
    }

    /// The reference to one file of the same repository, or to the set of shards that it belongs to.
    ///
    /// # Errors
    /// [`Error::UnsafePath`], which a path that is safe already never is.
    pub fn file(mut self, path: &RelativePath) -> Result<Self> {
        self.target = HubTarget::File(RelativePath::new(at_first_shard(path.as_str()))?);
        Ok(self)
    }

    /// The reference at a revision, where it has none yet, and with these patterns instead of what it took of the repository.
    ///
    /// # Errors
    /// [`Error::InvalidReference`] for what is no revision, or another one than it has, and for patterns where the reference names a file or a
    /// quantization.
    pub fn select(
        mut self,
        revision: Option<&str>,
        include: impl IntoIterator<Item = String>,
        exclude: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let text = self.to_string();
        let fail = |reason: &str| invalid(&text, reason);
        if let Some(revision) = revision {
            let revision = check_revision(revision, fail)?;
            if self.revision.as_ref().is_some_and(|own| *own != revision) {
                return Err(fail(&format!("it names another revision than `{revision}`")));
            }
            self.revision = Some(revision);
        }
        let more =
            Selection { include: include.into_iter().collect(), exclude: exclude.into_iter().collect() };
        if more.is_empty() {
            return Ok(self);
        }
        match &mut self.target {
            HubTarget::Repository(selection) => {
                selection.include.extend(more.include);
                selection.exclude.extend(more.exclude);
                Ok(self)
            }
            _ => Err(fail("patterns are of a whole repository, and it names a part already")),
        }
    }

    /// A folder's name that differs for what differs in the selection: `all` for the usual files.
    pub fn selection_key(&self) -> String {
        match &self.target {
            HubTarget::Repository(selection) if selection.is_empty() => "all".to_owned(),
            _ => {
                let plain = Self { revision: None, ..self.clone() };
                key_of(&plain.to_string())[..16].to_owned()
            }
        }
    }

    /// The name of the folder in which the Hub's own tools keep a repository of models: `models--org--repo`.
    pub fn cache_folder(&self) -> String {
        format!("models--{}", self.repo.replace('/', "--"))
    }

    /// `org/repo`, or `repo` alone.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The branch, tag or commit; `None` means the default branch.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// What of the repository belongs to the model.
    pub fn target(&self) -> &HubTarget {
        &self.target
    }
}

impl fmt::Display for HubRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}", self.repo)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{}", escape(revision, "%/?"))?;
        }
        match &self.target {
            HubTarget::File(path) => write!(f, "/{path}"),
            HubTarget::Quantization(quantization) => write!(f, ":{quantization}"),
            HubTarget::Repository(selection) => {
                let patterns = selection.include.iter().map(|pattern| ("include", pattern));
                let patterns = patterns.chain(selection.exclude.iter().map(|pattern| ("exclude", pattern)));
                for (index, (name, pattern)) in patterns.enumerate() {
                    write!(f, "{}{name}={}", if index == 0 { '?' } else { '&' }, escape(pattern, "%&/"))?;
                }
                Ok(())
            }
        }
    }
}

/// Splits at the first slash after the repository's name: `@`, `:` and `?` mean something only before it.
fn split_head(rest: &str) -> (&str, Option<&str>) {
    let first = rest.find('/').unwrap_or(rest.len());
    // One segment alone is the whole name where something else already follows it: `gpt2@main/config.json`.
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

/// `repo[@revision][:QUANTIZATION]`
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

fn check_repo(repo: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
    let segments: Vec<&str> = repo.split('/').collect();
    let sound = |segment: &&str| {
        !segment.is_empty()
            && segment.len() <= 96
            && !segment.contains("..")
            && !segment.starts_with(['.', '-'])
            && !segment.ends_with(['.', '-'])
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if segments.len() <= 2 && segments.iter().all(sound) {
        Ok(repo.to_owned())
    } else {
        Err(fail("a repository is named `org/repo`, in letters, digits, `-`, `_` and `.`"))
    }
}

/// Whether a revision is a commit in full: 40 hex digits.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The rules of git for the name of a reference (`git check-ref-format`), as far as they guard us.
fn check_revision(revision: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
    let sound = !revision.is_empty()
        && revision.len() <= 255
        && !revision.starts_with(['-', '/', '.'])
        && !revision.ends_with(['/', '.'])
        && !revision.contains("..")
        && !revision.contains("//")
        && !revision.chars().any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c));
    if sound {
        Ok(revision.to_owned())
    } else {
        Err(fail("the revision is no name of a branch, a tag or a commit"))
    }
}

fn check_quantization(quantization: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
    let sound = !quantization.is_empty()
        && quantization.len() <= 64
        && quantization.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if sound {
        Ok(quantization.to_ascii_uppercase())
    } else {
        Err(fail("the quantization is not one, such as `Q4_K_M`"))
    }
}

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

fn decode(part: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
    let decoded =
        percent_decode_str(part).decode_utf8().map_err(|_| fail("the address is not valid UTF-8"))?;
    Ok(decoded.into_owned())
}

/// Percent-encodes just the characters that would end or split the text.
fn escape(text: &str, special: &str) -> String {
    text.chars()
        .map(|c| if special.contains(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// Takes back what [`escape`] did, and leaves any other `%` as it is.
fn unescape(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let decoded =
            rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()).map(char::from);
        if let Some(c) = decoded.filter(|&c| special.contains(c)) {
            out.push(c);
            rest = &rest[at + 3..];
        } else {
            out.push('%');
            rest = &rest[at + 1..];
        }
    }
    out + rest
}

/// An address's query may hold a secret, and is not shown.
fn invalid(text: &str, reason: &str) -> Error {
    let shown = match text.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?…"),
        _ => text.to_owned(),
    };
    Error::InvalidReference { text: shown, reason: reason.to_owned(), hint: None }
}
