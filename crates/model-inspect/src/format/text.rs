//! Tells a text in UTF-8.

/// Returns whether the beginning of a file is text. An empty file is one.
pub(super) fn is_text(beginning: &[u8]) -> bool {
    let valid = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // The last character may be cut off.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(beginning.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_control = |c: char| c.is_control() && !"\t\n\r\u{c}\u{1b}\u{85}".contains(c);
    (beginning.is_empty() || !valid.is_empty()) && !valid.chars().any(is_control)
}
