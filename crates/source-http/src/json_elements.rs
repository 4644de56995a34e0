//! Reads the elements of a JSON array one by one as its bytes arrive: neither the text nor the list is ever whole in
//! memory.
//!
//! The reader finds where an element ends. The parser decides whether it is one.

/// How long an element is at the most: a file's entry has its name, its digests, and what the source adds.
const MAX_ELEMENT_BYTES: usize = 64 << 10;

/// Reads the elements of a JSON array from pieces of its text.
///
/// ```
/// use source_http::JsonElements;
///
/// let (mut reader, mut found) = (JsonElements::default(), Vec::new());
/// for piece in ["[1, {\"a", "\": 2}]"] {
///     reader.push(piece.as_bytes(), &mut |element| Ok(found.push(element.to_vec())))?;
/// }
/// reader.end()?;
/// assert_eq!(found.len(), 2);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Default)]
pub struct JsonElements {
    state: State,
    /// How many brackets and braces of the element are open.
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
    /// The element so far.
    element: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    /// Before the first element, which need not come.
    First,
    /// In an element, or before an element that must come.
    Element,
    After,
}

impl JsonElements {
    /// Reads the next bytes, and gives each element that ends in them to `take`.
    ///
    /// # Errors
    /// A text that is not an array, an element of more than 64 KiB, and what `take` refuses.
    pub fn push(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        for byte in bytes {
            self.next(*byte, take)?;
        }
        Ok(())
    }

    /// Returns an error unless the array is whole.
    ///
    /// # Errors
    /// The text ended early.
    pub fn end(&self) -> Result<(), String> {
        if self.state == State::After { Ok(()) } else { Err("the list ends early".to_owned()) }
    }

    /// Returns whether the text is a list so far.
    pub(crate) fn is_begun(&self) -> bool {
        self.state != State::Before
    }

    fn next(&mut self, byte: u8, take: &mut impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        let is_outside = self.depth == 0 && !self.is_in_text;
        match self.state {
            State::Before | State::After if byte.is_ascii_whitespace() => Ok(()),
            State::Before if byte == b'[' => {
                self.state = State::First;
                Ok(())
            }
            State::Before => Err("it is not a list".to_owned()),
            State::After => Err("the list goes on after its end".to_owned()),
            State::First if byte == b']' => {
                self.state = State::After;
                Ok(())
            }
            State::First | State::Element if is_outside && matches!(byte, b',' | b']') => {
                take(&self.element)?;
                self.element.clear();
                self.state = if byte == b',' { State::Element } else { State::After };
                Ok(())
            }
            State::First if byte.is_ascii_whitespace() => Ok(()),
            State::First | State::Element => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) -> Result<(), String> {
        self.state = State::Element;
        if self.element.len() == MAX_ELEMENT_BYTES {
            return Err(format!("it has an entry of more than {MAX_ELEMENT_BYTES} bytes"));
        }
        self.element.push(byte);
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_in_text => self.is_escaped = true,
            b'"' => self.is_in_text = !self.is_in_text,
            b'[' | b'{' if !self.is_in_text => self.depth += 1,
            // Never below nothing: outside, `]` ends the array, and what `}` ends the parser will ask.
            b']' | b'}' if !self.is_in_text => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The elements of a text that comes in pieces of so many bytes.
    fn read(text: &str, piece: usize) -> Result<Vec<Value>, String> {
        let (mut elements, mut found) = (JsonElements::default(), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            elements.push(bytes, &mut |element| {
                found.push(serde_json::from_slice(element).map_err(|error| error.to_string())?);
                Ok(())
            })?;
        }
        elements.end().map(|()| found)
    }

    #[test]
    fn elements_are_those_of_the_whole_text() {
        let nested = json!([{ "a": "]},\"\\\u{1}{[é", "b": [[], {}, [1, null]] }, "x,y", 7, [], {}]);
        let (dense, airy) = (nested.to_string(), serde_json::to_string_pretty(&nested).unwrap());
        for text in [dense.as_str(), &format!(" \n{airy}\r\n\t"), "[]", " [ ] ", "[1]", "[ 1 , 2 ]"] {
            let expected: Vec<Value> = serde_json::from_str(text).unwrap();
            for piece in 1..text.len() {
                assert_eq!(read(text, piece).unwrap(), expected, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_array_is_refused() {
        let none =
            ["", " ", "{}", "1", "[", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1]]", "[1] 2", "[1}"];
        let worse = ["[{]", "[{]}]", "[[}", "[\"]", "[1 2]", "[{}{}]", "[}]", "[}{]"];
        for text in none.into_iter().chain(worse) {
            assert!(read(text, 1).is_err(), "{text}");
            assert!(serde_json::from_str::<Vec<Value>>(text).is_err(), "{text}");
        }
        let long = format!("[\"{}\"]", "x".repeat(MAX_ELEMENT_BYTES));
        assert_eq!(read(&long, 1000).unwrap_err(), "it has an entry of more than 65536 bytes");
    }
}
