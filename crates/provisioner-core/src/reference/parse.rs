//! From text to a reference.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::percent_decode_str;

use super::{HubRef, LocalRef};
use crate::{Error, Result};

const MAX_REFERENCE_BYTES: usize = 8192;

/// What a person or a config asks for. Its text form is the model's id: `parse(id).id() == id`.
///
/// ```
/// use provisioner_core::ModelRef;
///
/// assert_eq!("file:///models/a%20b.gguf".parse::<ModelRef>()?.id(), "local:/models/a b.gguf");
/// assert_eq!("hf:org/repo:q4_k_m".parse::<ModelRef>()?.id(), "hf:org/repo:Q4_K_M");
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ModelRef {
    /// A file or folder on this machine.
    Local(LocalRef),
    /// A model on the Hugging Face Hub.
    Hub(HubRef),
    /// A reference of a scheme that only its fetcher understands.
    Other(OtherRef),
}

/// A reference of a scheme that only its fetcher understands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OtherRef {
    scheme: String,
    rest: String,
}

impl OtherRef {
    /// The scheme in lower case, without the colon.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What follows the colon, unchanged.
    pub fn rest(&self) -> &str {
        &self.rest
    }
}

impl ModelRef {
    /// Reads a reference. A relative path is taken from `base`.
    ///
    /// # Errors
    /// [`Error::InvalidReference`], with the reason.
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
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Self::Local(LocalRef::new(Path::new(text), base)?));
        };
        match scheme.to_ascii_lowercase().as_str() {
            drive if drive.len() == 1 => Err(invalid(
                "a single letter and a colon is a Windows drive",
                Some("Windows is not supported"),
            )),
            "local" => Ok(Self::Local(LocalRef::new(Path::new(rest), base)?)),
            "file" => Ok(Self::Local(LocalRef::new(&file_path(text, rest)?, base)?)),
            "hf" => Ok(Self::Hub(HubRef::parse(text, rest)?)),
            scheme @ ("http" | "https") => match HubRef::parse_url(text, rest) {
                Some(hub) => Ok(Self::Hub(hub?)),
                None => Self::other(text, scheme, rest),
            },
            scheme => Self::other(text, scheme, rest),
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

    /// The canonical text.
    pub fn id(&self) -> String {
        self.to_string()
    }

    /// The scheme, by which a fetcher is chosen: `local`, `hf`, …
    pub fn scheme(&self) -> &str {
        match self {
            Self::Local(_) => "local",
            Self::Hub(_) => "hf",
            Self::Other(other) => &other.scheme,
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(local) => write!(f, "local:{}", local.as_str()),
            Self::Hub(hub) => hub.fmt(f),
            Self::Other(other) => write!(f, "{}:{}", other.scheme, other.rest),
        }
    }
}

impl FromStr for ModelRef {
    type Err = Error;

    /// Reads a reference that needs no folder to start from.
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text, None)
    }
}

/// The Hub reference that was probably meant, for a text such as `org/repo` or `org/repo:Q4_K_M` that was taken
/// for a local path which does not exist.
pub fn did_you_mean(text: &str) -> Option<String> {
    if text.starts_with(['/', '.', '~']) || split_scheme(text).is_some() || !text.contains('/') {
        return None;
    }
    Some(HubRef::parse(text, text).ok()?.to_string())
}

/// A character as a message shows it.
fn shown(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() { (None, Some(c.escape_debug())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// A scheme of RFC 3986, section 3.1, and what follows its colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let sound = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    sound.then_some((scheme, rest))
}

/// The path of a `file:` form, decoded. RFC 8089 allows no authority, an empty one, and `localhost`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> String {
        match ModelRef::parse(text, Some(Path::new("/work"))) {
            Ok(reference) => reference.id(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(id(text), expected, "{text}");
        assert_eq!(id(expected), expected, "the id of {text} does not come back");
    }

    #[track_caller]
    fn refused(text: &str, because: &str) {
        let message = id(text);
        assert!(message.starts_with("error: ") && message.contains(because), "{text}: {message}");
    }

    #[test]
    fn local_forms() {
        for text in [
            "/models/a.gguf",
            "file:/models/a.gguf",
            "file:///models/a.gguf",
            "local:/models/a.gguf",
            "FILE:/models/a.gguf",
            "file://localhost/models/a.gguf",
            "/models//./a.gguf",
            "/models/a.gguf/",
            "/../models/a.gguf",
        ] {
            check(text, "local:/models/a.gguf");
        }
        for text in ["./a.gguf", "a.gguf", "file:a.gguf", "local:a.gguf"] {
            check(text, "local:/work/a.gguf");
        }
        check("file:/a%20b%2Fc%25.gguf", "local:/a b/c%.gguf");
        check("/a%20b.gguf", "local:/a%20b.gguf");
        check("../x/../a.gguf", "local:/work/../x/../a.gguf");
        check("/", "local:/");
        check("/..", "local:/");
        check("./C:x", "local:/work/C:x");
        check("org/repo:Q4", "local:/work/org/repo:Q4");
    }

    #[test]
    fn shards_are_one_model() {
        check("/m/x-00002-of-00003.gguf", "local:/m/x-00001-of-00003.gguf");
        check("hf:o/r/d/x-00003-of-00003.gguf", "hf:o/r/d/x-00001-of-00003.gguf");
    }

    #[test]
    fn hub_forms() {
        for text in [
            "hf:org/repo",
            "hf:org/repo/path/file.gguf",
            "hf:org/repo@rev/a.gguf",
            "hf:org/repo@rev",
            "hf:org/repo@feature%2Fx",
            "hf:org/repo:Q4_K_M",
            "hf:org/repo@v1:Q4_K_M",
            "hf:gpt2",
            "hf:gpt2@main/config.json",
            "hf:gpt2:Q8_0",
            "hf:o/r/a b#[1]?%.gguf",
            "hf:o/r/x@y:z.gguf",
            "hf:o/r@a%25b",
            "hf:o/r?include=%2A.json&exclude=x",
        ] {
            let expected = text.replace("%2A", "%252A");
            check(text, &expected);
        }
        check("hf://org/repo/a.gguf", "hf:org/repo/a.gguf");
        check("hf:org/repo/", "hf:org/repo");
        check("hf:org/repo:q4_k_m", "hf:org/repo:Q4_K_M");
        check("hf:o/r?exclude=b&include=b&include=a&include=a", "hf:o/r?include=a&include=b&exclude=b");
        check("hf:o/r?include=onnx%2F*", "hf:o/r?include=onnx%2F*");
    }

    #[test]
    fn pasted_pages() {
        check("https://huggingface.co/org/repo/blob/main/x.gguf", "hf:org/repo/x.gguf");
        check(
            "https://huggingface.co/org/repo/resolve/v1.0/d/x%20y.gguf?download=true",
            "hf:org/repo@v1.0/d/x y.gguf",
        );
        check("https://huggingface.co/org/repo", "hf:org/repo");
        check("https://hf.co/org/repo/tree/refs%2Fpr%2F1", "hf:org/repo@refs%2Fpr%2F1");
        check("https://huggingface.co/org/repo/tree/main/onnx", "hf:org/repo?include=onnx%2F*");
        check("https://huggingface.co/gpt2", "hf:gpt2");
        refused("https://huggingface.co/datasets/org/set", "not a model's");
        refused("https://huggingface.co/", "org/repo");
        refused("https://huggingface.co/o/r/blob/main/..%2F..%2Fx", "unsafe path");
    }

    #[test]
    fn other_schemes_stay_as_they_are() {
        check("s3://bucket/x.gguf", "s3://bucket/x.gguf");
        check("OCI:x", "oci:x");
        check("https://example.org/x.gguf", "https://example.org/x.gguf");
        refused("https://user:secret@example.org/x.gguf", "user name or a password");
        assert!(!id("https://user:secret@example.org/x.gguf").contains("secret"));
    }

    #[test]
    fn refusals() {
        refused("", "empty");
        refused("  ", "empty");
        refused("C:\\models\\a.gguf", "Windows drive");
        refused("c:/models", "Windows drive");
        refused("/a\nb", "control character");
        refused("file:/a%00b", "control character");
        refused("file:/a%0Ab", "control character");
        refused("file:/a%zz", "two hex digits");
        refused("file:/a%ff", "not valid UTF-8");
        refused("file://host/a", "this machine");
        refused("file:", "empty");
        refused("hf:", "org/repo");
        refused("hf:org/", "org/repo");
        refused("hf:../..", "org/repo");
        refused("hf:o/r/../x", "`..`");
        refused("hf:o/r//x", "absolute");
        refused("hf:o/r@", "revision");
        refused("hf:o/r@a..b", "revision");
        refused("hf:o/r:", "quantization");
        refused("hf:o/r:Q4/x.gguf", "not both");
        refused("hf:o/r:Q4?include=x", "selection");
        refused("hf:o/r?x=y", "include=");
        refused("s3:", "nothing follows");
        refused(&"x".repeat(9000), "longer");
        assert!("a.gguf".parse::<ModelRef>().is_err());
    }

    #[test]
    fn guesses_the_hub() {
        assert_eq!(did_you_mean("org/repo").as_deref(), Some("hf:org/repo"));
        assert_eq!(did_you_mean("org/repo:Q4_K_M").as_deref(), Some("hf:org/repo:Q4_K_M"));
        for text in ["./org/repo", "/org/repo", "file.gguf", "s3:o/r", "../x"] {
            assert_eq!(did_you_mean(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = ModelRef::parse(&text, Some(Path::new("/work")));
        }

        #[test]
        fn ids_come_back(text in "(hf:|hf://|file:|file://|local:|s3:|https://huggingface.co/|/|\\./|)[a-c/.@:?%#=&A-C0-9 _-]{0,30}(-0000[0-4]-of-00003\\.gguf)?") {
            if let Ok(reference) = ModelRef::parse(&text, Some(Path::new("/work"))) {
                let id = reference.id();
                let again = id.parse::<ModelRef>();
                prop_assert_eq!(again.as_ref().map(ModelRef::id).ok(), Some(id));
                prop_assert_eq!(again.unwrap(), reference);
            }
        }
    }
}
