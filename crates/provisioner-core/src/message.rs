//! Writes lists, excerpts and command arguments into messages.

use std::{borrow::Cow, fmt::Display};

/// The largest number of entries of a list that a message shows. A stranger may have made the list long.
pub const MOST_TOLD: usize = 50;

/// Returns a list as a message shows it: its first [`MOST_TOLD`] entries, and how many more there are.
pub fn told<T: Display>(entries: impl ExactSizeIterator<Item = T>) -> String {
    let more = entries.len().saturating_sub(MOST_TOLD);
    let shown: Vec<_> = entries.take(MOST_TOLD).map(|entry| entry.to_string()).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// The largest number of characters of a stranger's text that a message repeats.
const MAX_TEXT_CHARS: usize = 200;

/// Returns the text of a server, or of another program, as a message may repeat it: its beginning, without control characters.
///
/// ```
/// assert_eq!(provisioner_core::server_text("no\u{1b}[31m access"), "no[31m access");
/// ```
pub fn server_text(text: &str) -> String {
    let printable: String = text.chars().filter(|c| !c.is_control()).collect();
    excerpt(&printable, MAX_TEXT_CHARS)
}

/// Returns the beginning of a text, at most `most_chars` characters, for a message. A stranger may have made the text long.
pub fn excerpt(text: &str, most_chars: usize) -> String {
    if text.chars().nth(most_chars).is_none() {
        return text.to_owned();
    }
    text.chars().take(most_chars.saturating_sub(3)).chain("...".chars()).collect()
}

/// Returns an argument as a person must type it in a shell: in single quotes where the shell would read it otherwise.
pub fn shell_word(argument: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return Cow::Borrowed(argument);
    }
    Cow::Owned(format!("'{}'", argument.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_no_longer_than_it_may_be() {
        assert_eq!(excerpt("abcdef", 6), "abcdef");
        assert_eq!(excerpt("äbcdefg", 6), "äbc...");
        assert_eq!(excerpt(&"x".repeat(60 << 20), 80).len(), 80);
    }

    #[test]
    fn a_shell_gives_every_word_back() {
        let check = |argument: &str, expected: &str| assert_eq!(shell_word(argument), expected);
        check("hf:org/repo@v1:Q4_K_M", "hf:org/repo@v1:Q4_K_M");
        check("hf:org/weird/[x]*é.gguf", "'hf:org/weird/[x]*é.gguf'");
        check("hf:o/r?include=a&exclude=b", "'hf:o/r?include=a&exclude=b'");
        check("it's", r"'it'\''s'");
        check("", "''");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(told(["a", "b"].iter()), "a, b");
        assert!(told(0..50).ends_with(", 49"));
        assert!(told(0..200_000).ends_with(", 49, and 199950 more"));
    }
}
