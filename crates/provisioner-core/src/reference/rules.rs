//! Checks the parts of a repository reference, and writes a part into a text.

use percent_encoding::percent_decode_str;

use crate::{
    error::{Error, Result},
    message::shell_word,
};

/// Checks the name of a repository: `org/repo`, or `repo` alone.
pub(super) fn check_repo(repo: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
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

/// Returns whether a revision is a commit in full: 40 hex digits.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Checks the name of a revision by the rules of git (`git check-ref-format`), as far as they guard this machine.
pub(super) fn check_revision(revision: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
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

/// Checks a quantization, and returns it in upper case.
pub(super) fn check_quantization(quantization: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
    let sound = !quantization.is_empty()
        && quantization.len() <= 64
        && quantization.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if sound {
        Ok(quantization.to_ascii_uppercase())
    } else {
        Err(fail("the quantization is not one, such as `Q4_K_M`"))
    }
}

/// Decodes the percent-encoded part of an address.
pub(super) fn decode(part: &str, fail: impl Fn(&str) -> Error) -> Result<String> {
    let decoded =
        percent_decode_str(part).decode_utf8().map_err(|_| fail("the address is not valid UTF-8"))?;
    Ok(decoded.into_owned())
}

/// Percent-encodes just the characters that would end or split the text.
pub(super) fn escape(text: &str, special: &str) -> String {
    text.chars()
        .map(|c| if special.contains(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// Takes back what [`escape`] did, and leaves any other `%` as it is.
pub(super) fn unescape(text: &str, special: &str) -> String {
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

/// Returns the error of a reference. The query of an address may hold a secret, so the error does not show it.
pub(super) fn invalid(text: &str, reason: &str) -> Error {
    let shown = match text.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?…"),
        _ => text.to_owned(),
    };
    Error::InvalidReference { text: shown, reason: reason.to_owned(), hint: None }
}

/// Returns the error of a reference, with the references that the caller may mean.
pub(super) fn invalid_instead(text: &str, reason: &str, instead: &[String]) -> Error {
    let instead: Vec<_> = instead.iter().map(|id| format!("`{}`", shell_word(id))).collect();
    match invalid(text, reason) {
        Error::InvalidReference { text, reason, .. } => {
            let hint = Some(format!("did you mean {}?", instead.join(" or ")));
            Error::InvalidReference { text, reason, hint }
        }
        other => other,
    }
}
