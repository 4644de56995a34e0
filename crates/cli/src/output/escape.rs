//! Makes text of strangers safe for a terminal. Names in headers and in repositories may hold characters that move the cursor, or
//! turn the text around so that it reads as another one; the command writes these as numbers.

use std::borrow::Cow;

use model_provisioner::excerpt;

/// The most characters that the command shows of one value of a header.
const SHOWN_CHARS: usize = 200;

/// The most characters that the command shows of one line of a message. An id has at most 8192 bytes, and a message may name two.
const LINE_CHARS: usize = 20_000;

/// Returns text with its lines, and without anything else that a terminal obeys.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c == '\n' || !is_obeyed(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for c in text.chars() {
        if is_plain(c) { shown.push(c) } else { shown.extend(c.escape_default()) }
    }
    Cow::Owned(shown)
}

/// Returns a message, with each line that is longer than our own messages cut.
pub(crate) fn bounded(message: &str) -> Cow<'_, str> {
    if message.lines().all(|line| line.len() <= LINE_CHARS) {
        return Cow::Borrowed(message);
    }
    Cow::Owned(message.lines().map(|line| excerpt(line, LINE_CHARS)).collect::<Vec<_>>().join("\n"))
}

/// Returns a value of a header as one line, cut where it is long.
pub(crate) fn line(text: &str) -> String {
    let mut shown = escaped(&text.chars().take(SHOWN_CHARS).collect::<String>()).replace('\n', "\\n");
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns whether a terminal obeys a character and does not show it: controls, marks of direction, ends of lines.
fn is_obeyed(c: char) -> bool {
    let is_mark =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_mark
}

#[cfg(test)]
mod tests {
    use super::{LINE_CHARS, SHOWN_CHARS, bounded, escaped, line};

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let check = |text: &str, expected: &str| assert_eq!(escaped(text), expected);
        check("Qwen2.5 é 模型 👩‍🚀", "Qwen2.5 é 模型 👩‍🚀");
        check("a\nb", "a\nb");
        check("\u{1b}[31m\u{7}\t\r\u{7f}\u{9b}", "\\u{1b}[31m\\u{7}\\t\\r\\u{7f}\\u{9b}");
        check(
            "fugg\u{202e}x\u{2066}\u{2069}\u{200e}\u{61c}",
            "fugg\\u{202e}x\\u{2066}\\u{2069}\\u{200e}\\u{61c}",
        );
    }

    #[test]
    fn no_line_of_a_message_is_endless() {
        assert_eq!(bounded("a\nb"), "a\nb");
        let long = bounded(&format!("a\n{}\nb", "x".repeat(60 << 20))).into_owned();
        assert!(long.len() < LINE_CHARS + 10 && long.starts_with("a\nx") && long.ends_with("...\nb"));
    }

    #[test]
    fn a_value_is_one_line() {
        assert_eq!(line("a\nlicence  mit"), "a\\nlicence  mit");
        assert_eq!(line(&"x".repeat(SHOWN_CHARS)), "x".repeat(SHOWN_CHARS));
        assert_eq!(line(&"x".repeat(SHOWN_CHARS + 1)), format!("{}…", "x".repeat(SHOWN_CHARS)));
    }
}
