//! Turns a text into a reference.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::percent_decode_str;

use super::{
    hub::{bare_page, path_on_site},
    local::LocalRef,
    model_ref::{ModelRef, OtherRef},
    page::parse_page,
    repo::{RepoRef, RepoTarget},
    rules::invalid_instead,
    scheme::{Form, HUB, HUB_IN_FULL, form_of},
};
use crate::error::{Error, Result};

const MAX_REFERENCE_BYTES: usize = 8192;

impl ModelRef {
    /// Reads a reference. A relative path starts from `base`.
    ///
    /// # Errors
    /// [`Error::InvalidReference`], with the reason; [`Error::UnsafePath`].
    pub fn parse(text: &str, base: Option<&Path>) -> Result<Self> {
        let invalid = |reason: &str, hint: Option<&str>| Error::InvalidReference {
            text: text.chars().flat_map(shown).collect(),
            reason: reason.to_owned(),
            hint: hint.map(str::to_owned),
        };
        if text.trim().is_empty() {
            return Err(invalid("it is empty", None));
        }
        if text.len() > MAX_REFERENCE_BYTES {
            let start = text.chars().take(60).collect::<String>();
            let reason = "it is longer than 8192 bytes".to_owned();
            return Err(Error::InvalidReference { text: format!("{start}..."), reason, hint: None });
        }
        if text.chars().any(char::is_control) {
            return Err(invalid("it has a control character", None));
        }
        if let Some(path) = bare_page(text) {
            return Ok(Self::Repo(parse_page(text, path)?));
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Self::Local(LocalRef::new(Path::new(text), base)?));
        };
        match scheme.to_ascii_lowercase().as_str() {
            drive if drive.len() == 1 => Err(invalid(
                "a single letter and a colon is a Windows drive",
                Some("Windows is not supported"),
            )),
            scheme => Self::of_scheme(scheme, text, rest, base),
        }
    }

    /// Reads what follows a scheme, as the table of schemes says.
    fn of_scheme(scheme: &str, text: &str, rest: &str, base: Option<&Path>) -> Result<Self> {
        match form_of(scheme) {
            Form::Path => Ok(Self::Local(LocalRef::new(Path::new(rest), base)?)),
            Form::FileAddress => Ok(Self::Local(LocalRef::new(&file_path(text, rest)?, base)?)),
            Form::Hub => Ok(Self::Repo(parse_hub(scheme, text, rest)?)),
            Form::Address => match page_at(scheme, rest) {
                Some(path) => Ok(Self::Repo(parse_page(text, path)?)),
                None => Self::other(text, scheme, rest),
            },
            Form::Text => Self::other(text, scheme, rest),
            Form::Unknown => match as_written(scheme, rest) {
                Some(repo) => Ok(Self::Repo(repo)),
                None => Self::other(text, scheme, rest),
            },
        }
    }

    fn other(text: &str, scheme: &str, rest: &str) -> Result<Self> {
        let authority =
            rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if authority.is_some_and(|authority| authority.contains('@')) {
            // The text would show the secret, in this message and in the catalog.
            return Err(Error::InvalidReference {
                text: format!("{scheme}://…"),
                reason: "an address may not carry a user name or a password".to_owned(),
                hint: Some("give credentials in the environment".to_owned()),
            });
        }
        if rest.is_empty() {
            let reason = "nothing follows the scheme".to_owned();
            return Err(Error::InvalidReference { text: text.to_owned(), reason, hint: None });
        }
        Ok(Self::Other(OtherRef { scheme: scheme.to_owned(), rest: rest.to_owned() }))
    }
}

/// Returns the path of an address, where its host is the Hub's.
fn page_at<'a>(scheme: &str, rest: &'a str) -> Option<&'a str> {
    path_on_site(Some(scheme), rest.strip_prefix("//")?)
}

/// Reads what follows `hf:`: a repository, or an address of the Hub's site with a scheme too many.
fn parse_hub(scheme: &str, text: &str, rest: &str) -> Result<RepoRef> {
    let address = rest.strip_prefix("//").unwrap_or(rest);
    let page = match split_scheme(address) {
        Some((scheme, rest)) => page_at(&scheme.to_ascii_lowercase(), rest),
        None => None,
    };
    if let Some(path) = page.or_else(|| bare_page(address)) {
        return parse_page(text, path);
    }
    if let Some((scheme @ ("http" | "https"), rest)) = split_scheme(address) {
        ModelRef::other(text, scheme, rest)?;
        // The query of an address may hold a secret.
        let plain = address.split(['?', '#']).next().unwrap_or_default();
        return Err(invalid_instead(text, "the address is not one of the Hub", &[plain.to_owned()]));
    }
    let repo = RepoRef::parse_text(HUB, text, rest)?;
    match repo.target() {
        // LocalAI writes the revision behind the file.
        RepoTarget::Path(path) if scheme == HUB_IN_FULL && repo.revision().is_none() => {
            let Some((file, revision)) = path.as_str().rsplit_once('@') else { return Ok(repo) };
            let at_revision = RepoRef::parse(HUB, &format!("{}@{revision}/{file}", repo.repo()));
            let instead: Vec<_> = at_revision.iter().chain([&repo]).map(RepoRef::to_string).collect();
            Err(invalid_instead(text, "a revision stands behind the name of the repository", &instead))
        }
        _ => Ok(repo),
    }
}

/// Reads the text of a scheme that is not in the table as a repository, where the repository prints just that text.
fn as_written(scheme: &str, rest: &str) -> Option<RepoRef> {
    let repo = RepoRef::parse(scheme, rest).ok()?;
    let is_unchanged =
        repo.to_string().strip_prefix(scheme).and_then(|text| text.strip_prefix(':')) == Some(rest);
    (is_unchanged && !is_key(repo.repo())).then_some(repo)
}

/// Returns whether a name looks like the key of an id, under which the views of other references lie.
fn is_key(repo: &str) -> bool {
    repo.len() == 64 && repo.bytes().all(|b| b.is_ascii_hexdigit())
}

impl FromStr for ModelRef {
    type Err = Error;

    /// Reads a reference that needs no folder to start from.
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text, None)
    }
}

/// Returns whether a text names the Hub's host and lacks a scheme, as in `hf.co/org/repo`. The parser takes it for the
/// Hub's. A path of this machine may have that name as well, and only a disk knows.
pub fn may_be_path(text: &str) -> bool {
    bare_page(text).is_some()
}

/// Returns the Hub reference that a person probably meant, for a text such as `org/repo` or `org/repo:Q4_K_M` that was taken
/// for a local path which does not exist.
pub fn did_you_mean(text: &str) -> Option<String> {
    let is_path = text.starts_with(['/', '.', '~']) || text.starts_with("models/");
    if is_path || split_scheme(text).is_some() || !text.contains('/') {
        return None;
    }
    Some(RepoRef::guess(text)?.to_string())
}

/// Returns a character as a message shows it.
fn shown(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() { (None, Some(c.escape_debug())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// Splits a text into a scheme of RFC 3986, section 3.1, and what follows its colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let sound = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    sound.then_some((scheme, rest))
}

/// Returns the path of a `file:` form, decoded. RFC 8089 allows no authority, an empty one, and `localhost`.
fn file_path(text: &str, rest: &str) -> Result<PathBuf> {
    let invalid = |reason: &str| Error::InvalidReference {
        text: text.escape_debug().to_string(),
        reason: reason.to_owned(),
        hint: None,
    };
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(after) => match after.find('/') {
            Some(slash) if matches!(&after[..slash], "" | "localhost") => &after[slash..],
            _ => return Err(invalid("a `file:` address is of this machine: `file:///path`")),
        },
    };
    let bytes = path.as_bytes();
    let whole =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if (0..bytes.len()).any(|at| bytes[at] == b'%' && !whole(at)) {
        return Err(invalid("`%` is not followed by two hex digits; a `%` in a name is written `%25`"));
    }
    match percent_decode_str(path).decode_utf8() {
        Ok(path) => Ok(PathBuf::from(path.as_ref())),
        Err(_) => Err(Error::PathNotUtf8 { path: percent_decode_str(path).decode_utf8_lossy().into_owned() }),
    }
}
