//! Reads JSON as Python writes it.

use std::borrow::Cow;

/// Returns a text with `null` in the place of `NaN` and `Infinity`, which Python writes and JSON does not have.
///
/// ```
/// use provisioner_core::without_python_numbers;
///
/// let text = without_python_numbers(br#"{ "scale": NaN, "name": "NaN" }"#);
/// assert_eq!(&*text, br#"{ "scale": null, "name": "NaN" }"#);
/// ```
pub fn without_python_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    if !text.windows(3).any(|window| window == b"NaN" || window == b"Inf") {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest, mut in_text) = (Vec::with_capacity(text.len()), text, false);
    while let Some((first, after)) = rest.split_first() {
        if in_text && *first == b'\\' {
            // An escaped character neither ends the text nor begins a number.
            let (pair, after) = rest.split_at(rest.len().min(2));
            out.extend_from_slice(pair);
            rest = after;
            continue;
        }
        in_text ^= *first == b'"';
        if let Some(word) = WORDS.iter().find(|word| !in_text && rest.starts_with(word)) {
            out.extend_from_slice(b"null");
            rest = rest.split_at(word.len()).1;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_replaced() {
        let check = |text: &str, expected: &str| {
            let replaced = without_python_numbers(text.as_bytes());
            assert_eq!(std::str::from_utf8(&replaced).unwrap(), expected);
        };
        check(r#"{"a": [0.0, Infinity], "b": NaN}"#, r#"{"a": [0.0, null], "b": null}"#);
        check(r#"{"a": -Infinity}"#, r#"{"a": null}"#);
        check(r#"{"NaN": "In\"finity NaN \\"}"#, r#"{"NaN": "In\"finity NaN \\"}"#);
        check(r#""\"#, r#""\"#);
        check(r#"NaN"\"#, r#"null"\"#);
    }
}
