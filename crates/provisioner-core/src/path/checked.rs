//! Checks a text before it becomes a safe path.

use std::str::FromStr;

use super::RelativePath;
use crate::{
    error::{Error, Result},
    message::excerpt,
};

const MAX_COMPONENT_BYTES: usize = 255;
const MAX_PATH_BYTES: usize = 4096;

impl RelativePath {
    /// Makes a safe relative path from a text.
    ///
    /// # Errors
    /// [`Error::UnsafePath`] says which rule the text breaks.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        match fault(&text) {
            None => Ok(Self(text.into())),
            Some(reason) => {
                Err(Error::UnsafePath { path: excerpt(&text, 200).escape_debug().to_string(), reason })
            }
        }
    }
}

impl FromStr for RelativePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

/// Returns the rule that a text breaks. `None` for a safe path.
fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_PATH_BYTES {
        return Some("it is longer than 4096 bytes");
    }
    if text.starts_with('/') {
        return Some("it is absolute");
    }
    if text.chars().any(char::is_control) {
        return Some("it has a control character");
    }
    if text.contains('\\') {
        return Some("it has a backslash");
    }
    text.split('/').find_map(component_fault)
}

fn component_fault(component: &str) -> Option<&'static str> {
    let bytes = component.as_bytes();
    match component {
        "" => Some("it has an empty component"),
        "." | ".." => Some("it has a `.` or `..` component"),
        _ if bytes.len() > MAX_COMPONENT_BYTES => Some("a component is longer than 255 bytes"),
        _ if bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' => {
            Some("it names a drive")
        }
        _ if is_device(component) => Some("it names a device"),
        _ => None,
    }
}

/// Returns whether some system takes the name for a device, whatever the extension is.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end();
    let stem = stem.to_ascii_uppercase();
    let numbered = |prefix| {
        stem.strip_prefix(prefix)
            .is_some_and(|n| n.len() == 1 && n.bytes().all(|b| (b'1'..=b'9').contains(&b)))
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    #[test]
    fn accepts_what_models_are_called() {
        for good in
            ["a.gguf", "Q4 K/mödel [x] #1 50%.gguf", "a/b/c", ".gitattributes", "...", "console.txt", "com10"]
        {
            assert!(RelativePath::new(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn refuses_what_could_escape() {
        let long = "x".repeat(256);
        let bad = [
            "",
            "/a",
            "../x",
            "a/../../x",
            "a/./b",
            "a//b",
            "a/",
            "C:/x",
            "a/c:x",
            "a\\b",
            "a\0b",
            "a\nb",
            "nul",
            "AUX.gguf",
            "x/com1.txt",
            "LPT9",
            &long,
        ];
        for text in bad {
            assert!(RelativePath::new(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_only_normal_components(text in "([a-zA-Z0-9.:/\\\\ ]|\\PC){0,40}") {
            if let Ok(path) = RelativePath::new(text) {
                prop_assert!(path.as_ref().components().all(|c| matches!(c, Component::Normal(_))));
            }
        }
    }
}
