//! Relative paths that are safe to join to a folder.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, excerpt};

const MAX_COMPONENT_BYTES: usize = 255;
const MAX_PATH_BYTES: usize = 4096;

/// A path below some folder, with `/` between its components, that can leave that folder by no trick: not
/// empty, not absolute, no `.` or `..`, no drive, no backslash, no control character, no device name, not
/// over-long. Whatever a server, a listing or an index says becomes one of these before it comes near a disk. Clones share the
/// text: a listing may have a hundred thousand of them, and each is in several lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(Arc<str>);

impl RelativePath {
    /// A safe relative path.
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

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What stands before the last component: empty, or the folder with a slash behind it.
    ///
    /// ```
    /// use provisioner_core::RelativePath;
    ///
    /// let path = RelativePath::new("a/b/c.gguf")?;
    /// assert_eq!((path.folder(), path.file_name()), ("a/b/", "c.gguf"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn folder(&self) -> &str {
        self.0.strip_suffix(self.file_name()).unwrap_or_default()
    }
}

impl AsRef<Path> for RelativePath {
    fn as_ref(&self) -> &Path {
        Path::new(self.as_str())
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0.as_ref().to_owned()
    }
}

/// The rule that a text breaks, if it breaks one.
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

/// Whether some system takes the name for a device, whatever its extension.
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
