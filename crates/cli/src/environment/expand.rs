//! Expands paths as Python does, in which the Hub's own tools are written.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// Returns a path with `~` at its beginning, `$NAME` and `${NAME}` replaced, as Python's `expanduser` and then `expandvars` do.
/// The name of an unset variable stays as it is written, and so does the home of another user.
pub(super) fn expand(
    text: &OsStr,
    home: Option<&Path>,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> PathBuf {
    let bytes = text.as_bytes();
    let is_home = |rest: &&[u8]| rest.is_empty() || rest.starts_with(b"/");
    let (mut done, mut rest) = match (home, bytes.strip_prefix(b"~").filter(is_home)) {
        (Some(home), Some(rest)) => (home.as_os_str().as_bytes().to_vec(), rest),
        _ => (Vec::new(), bytes),
    };
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        done.extend(&rest[..at]);
        let (name, length) = name_after(&rest[at + 1..]);
        match variable(OsStr::from_bytes(name)).filter(|_| length > 0) {
            Some(value) => done.extend(value.as_bytes()),
            None => done.extend(&rest[at..=at + length]),
        }
        rest = &rest[at + 1 + length..];
    }
    done.extend(rest);
    PathBuf::from(OsString::from_vec(done))
}

/// Returns the name of a variable behind `$`, and how many bytes it takes with its braces: none where there is no name.
fn name_after(text: &[u8]) -> (&[u8], usize) {
    let (inner, braces) = match text.strip_prefix(b"{") {
        Some(inner) => (inner, 2),
        None => (text, 0),
    };
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = inner.iter().position(|byte| !is_word(byte)).unwrap_or(inner.len());
    let is_closed = braces == 0 || inner.get(length) == Some(&b'}');
    if length > 0 && is_closed { (&inner[..length], length + braces) } else { (&[], 0) }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::{OsStr, OsString},
        path::Path,
    };

    use super::expand;

    #[test]
    fn paths_are_expanded_as_their_owners_do() {
        let variable = |name: &OsStr| match name.to_str()? {
            "DISK" => Some("/disk".into()),
            "USER_1" => Some("me".into()),
            "EMPTY" => Some(OsString::new()),
            _ => None,
        };
        let check = |text: &str, expected: &str| {
            assert_eq!(
                expand(text.as_ref(), Some(Path::new("/home/me")), variable),
                Path::new(expected),
                "{text}"
            );
        };
        check("~", "/home/me");
        check("~/hf", "/home/me/hf");
        check("/a/~/b", "/a/~/b");
        check("~other/hf", "~other/hf");
        check("$DISK/hf", "/disk/hf");
        check("${DISK}/hf/$USER_1", "/disk/hf/me");
        check("/x${EMPTY}y", "/xy");
        check("/a/$UNSET/b", "/a/$UNSET/b");
        check("/a/${UNSET}/${DISK", "/a/${UNSET}/${DISK");
        check("/a/$/b$", "/a/$/b$");
        check("~/$USER_1$DISK", "/home/me/me/disk");
    }
}
