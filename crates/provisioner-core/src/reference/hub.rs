//! Rewrites what only the Hub has in its references into the grammar of repositories.
//!
//! | a person writes | the grammar reads |
//! | --- | --- |
//! | `models/org/repo`, `org/repo.git` | `org/repo` |
//! | `org/repo@refs/pr/3/a.gguf` | `org/repo@refs%2Fpr%2F3/a.gguf` |
//! | `org/repo:latest` | `org/repo` |
//! | `org/repo:a.gguf` | `org/repo/a.gguf` |
//!
//! It refuses what is on the Hub and is not a model, and a revision that stands where a quantization does.

use super::{rules::escape, scheme::HUB};

/// Lists the Hub's hosts, as the address bar of a browser shows them.
const HOSTS: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];

/// Lists the first parts of addresses of the Hub that no organisation can have as its name, and says what they are.
const NOT_MODELS: [(&str, &str); 15] = [
    ("api", "an address for programs"),
    ("blog", "an article"),
    ("buckets", "a bucket, which has neither revisions nor digests"),
    ("chat", "a chat"),
    ("collections", "a collection, which lists models"),
    ("datasets", "a dataset"),
    ("docs", "a page of the documentation"),
    ("kernels", "a kernel, which is code"),
    ("learn", "a course"),
    ("models", "a list of models"),
    ("organizations", "an organisation"),
    ("papers", "a paper"),
    ("posts", "a post"),
    ("spaces", "a Space, which is an app"),
    ("tasks", "a task"),
];

/// Says why a text is not a reference to a model of the Hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The reason, as a fragment.
    pub(super) reason: String,
    /// What the caller probably means, in the grammar of repositories.
    pub(super) instead: Option<String>,
}

impl Refusal {
    pub(super) fn new(reason: impl Into<String>, instead: Option<String>) -> Self {
        Self { reason: reason.into(), instead }
    }
}

/// Returns the path of an address without its host, where the host is one of the Hub's. A port is that of the scheme, or 443
/// without one.
pub(super) fn path_on_site<'a>(scheme: Option<&str>, authority_and_path: &'a str) -> Option<&'a str> {
    let end = authority_and_path.find(['/', '?', '#']).unwrap_or(authority_and_path.len());
    let (authority, path) = authority_and_path.split_at(end);
    let port = if scheme == Some("http") { ":80" } else { ":443" };
    let host = authority.strip_suffix(port).unwrap_or(authority);
    let host = host.strip_suffix('.').unwrap_or(host);
    is_host(host).then(|| path.strip_prefix('/').unwrap_or(path))
}

fn is_host(name: &str) -> bool {
    HOSTS.iter().any(|host| name.eq_ignore_ascii_case(host))
}

/// Returns the path of an address of the Hub that lacks `https://`, such as `hf.co/org/repo`. Returns `None` for any other text.
pub(super) fn bare_page(text: &str) -> Option<&str> {
    path_on_site(None, text).filter(|path| path.contains(|c| c != '/') && text.contains('/'))
}

/// Returns the text behind `hf:` in the grammar of repositories.
///
/// # Errors
/// [`Refusal`] for a text that does not name a model, and for a revision behind a colon.
pub(super) fn plain(rest: &str) -> Result<String, Refusal> {
    let rest = of_model(rest)?;
    let (name, after) = rest.split_at(name_end(rest));
    // The Hub takes `.git` at the end of a name for the address of a clone, and gives no repository such a name.
    let name = name.trim_end_matches(".git");
    let (revision, after) = match after.strip_prefix('@') {
        Some(after) => {
            let (revision, after) = split_revision(name, after)?;
            (format!("@{revision}"), after)
        }
        None => (String::new(), after),
    };
    let Some(tag) = after.strip_prefix(':') else { return Ok(format!("{name}{revision}{after}")) };
    let (tag, more) = tag.split_at(tag.find(['/', '?']).unwrap_or(tag.len()));
    if is_revision(tag) {
        let instead =
            split_revision(name, &after[1..]).map(|(revision, after)| format!("{name}@{revision}{after}"));
        return Err(Refusal::new(
            "a revision stands behind an `@`, and a quantization behind a colon",
            instead.ok(),
        ));
    }
    if more.is_empty() && tag.eq_ignore_ascii_case("latest") {
        return Ok(format!("{name}{revision}"));
    }
    // One segment and a path need a revision between them, or they read as `org/repo`.
    if more.is_empty() && ends_as_gguf(tag) && (name.contains('/') || !revision.is_empty()) {
        return Ok(format!("{name}{revision}/{tag}"));
    }
    Ok(format!("{name}{revision}{after}"))
}

/// Returns the text behind the kind of a repository. Only `models/` is one of models.
fn of_model(rest: &str) -> Result<&str, Refusal> {
    let rest = rest.strip_prefix("models/").unwrap_or(rest);
    let first = &rest[..rest.find(['/', '@', ':', '?']).unwrap_or(rest.len())];
    if let Some((_, what)) = NOT_MODELS.iter().find(|(name, _)| *name == first) {
        return Err(Refusal::new(format!("it names {what}, and not a model"), of_api(rest)));
    }
    if is_host(first) {
        return Err(Refusal::new("it names the Hub's host twice", None));
    }
    Ok(rest)
}

/// Returns the repository that an address of the Hub's API names.
fn of_api(rest: &str) -> Option<String> {
    let mut parts = rest.strip_prefix("api/models/")?.split('/');
    Some(format!("{}/{}", parts.next()?, parts.next()?))
}

/// Returns where the name of the repository ends: before `@`, `:`, `?`, or the second slash.
fn name_end(rest: &str) -> usize {
    let slash = rest.find('/').map_or(rest.len(), |slash| slash + 1);
    let second = rest[slash..].find('/').map_or(rest.len(), |second| slash + second);
    rest.find(['@', ':', '?']).map_or(second, |special| special.min(second))
}

/// Splits what follows `@` into the revision, as the grammar reads it, and the rest. The Hub's own names of revisions have
/// slashes of their own; any other slash ends the revision.
fn split_revision<'a>(name: &str, after: &'a str) -> Result<(String, &'a str), Refusal> {
    if let Some((revision, rest)) = split_ref(after) {
        return Ok((escape(revision, "%/?"), rest));
    }
    let (revision, rest) = after.split_at(after.find(['/', ':', '?']).unwrap_or(after.len()));
    if revision != "refs" {
        return Ok((revision.to_owned(), rest));
    }
    let branch = ["/heads/", "/tags/"].iter().find_map(|kind| rest.strip_prefix(kind));
    let branch = branch.filter(|branch| branch.split(['/', ':', '?']).next() != Some("refs"));
    Err(Refusal::new(BARE_REFS, branch.map(|branch| format!("{name}@{branch}"))))
}

const BARE_REFS: &str = "behind `refs` come `pr` and a number, or `convert` and a name";

/// Splits a text behind the Hub's own name of a revision: `refs/pr/3` or `refs/convert/parquet`.
pub(super) fn split_ref(text: &str) -> Option<(&str, &str)> {
    let start = ["refs/pr/", "refs/convert/"].into_iter().find(|start| text.starts_with(start))?;
    let end = text[start.len()..].find(['/', ':', '?']).map_or(text.len(), |end| start.len() + end);
    let name = &text[start.len()..end];
    let is_sound = |b: u8| match start {
        "refs/pr/" => b.is_ascii_digit(),
        _ => b.is_ascii_alphanumeric() || b"-_.".contains(&b),
    };
    (!name.is_empty() && name.bytes().all(is_sound)).then(|| text.split_at(end))
}

/// Returns why a revision is not one of the Hub's, where it is not. The branch `refs` and a path would read as a ref.
pub(super) fn why_no_revision(scheme: &str, revision: &str) -> Option<&'static str> {
    (scheme == HUB && revision == "refs").then_some(BARE_REFS)
}

/// Returns whether a text behind a colon is a revision, as `KServe` writes one: a commit, a usual branch, a version, or a ref. No
/// quantization has seven hex digits and nothing else, or begins with a `v` and a digit.
fn is_revision(tag: &str) -> bool {
    let is_commit = (7..=40).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_hexdigit());
    let is_version =
        tag.strip_prefix('v').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    is_commit || is_version || ["main", "master", "refs"].contains(&tag)
}

fn ends_as_gguf(name: &str) -> bool {
    name.len()
        .checked_sub(5)
        .and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(".gguf"))
}
