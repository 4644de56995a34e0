//! Reads files that an operator writes: YAML, and so JSON.

use std::{io, path::Path};

use provisioner_core::excerpt;
use serde::de::DeserializeOwned;

/// Limits the size of such a file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Describes a mistake in such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The mistake, with its line, for a person.
    pub(crate) reason: String,
    /// The text to write instead.
    pub(crate) hint: Option<String>,
}

/// Says why such a file cannot be used.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The disk does not give it.
    Disk(io::Error),
    /// It is not a text of that size.
    Mistake(Mistake),
}

/// Reads the text of a regular file. It may block.
pub(crate) fn read_text(path: &Path) -> Result<String, Unreadable> {
    let refuse = |reason: &str| Unreadable::Mistake(Mistake { reason: reason.to_owned(), hint: None });
    let bytes = match durable_fs::read_regular(path, MAX_BYTES) {
        Err(durable_fs::Error::NotOurs { reason, .. }) => return Err(refuse(reason)),
        Err(durable_fs::Error::TooLarge { .. }) => return Err(refuse("it is larger than 1 MiB")),
        Err(error) => return Err(Unreadable::Disk(error.into())),
        Ok(bytes) => bytes,
    };
    String::from_utf8(bytes).map_err(|_| refuse("it is not valid UTF-8"))
}

/// Reads a document.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    serde_saphyr::from_str(text).map_err(|error| explain(&error))
}

/// Returns the parser's error as one line, with the place of the mistake, and with the nearest name for an unknown one.
fn explain(error: &serde_saphyr::Error) -> Mistake {
    let error = error.without_snippet();
    let place = error.location().map(|at| format!("line {}: ", at.line())).unwrap_or_default();
    let (reason, hint) = match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown field `{field}`"), Some(meant(field, expected, "the fields here are")))
        }
        serde_saphyr::Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown value `{variant}`"), Some(meant(variant, expected, "the values here are")))
        }
        other => (told(other), None),
    };
    Mistake { reason: format!("{place}{}", excerpt(&reason, 200)), hint }
}

/// Returns the mistake in the words of YAML, without those of Rust.
fn told(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error::{Eof, InvalidScalar, NullIntoString, SerdeMissingField, Unexpected};
    match error {
        Eof { .. } => "it ends where something is expected".to_owned(),
        NullIntoString { .. } => "a value is missing".to_owned(),
        SerdeMissingField { field, .. } => format!("the field `{field}` is missing"),
        InvalidScalar { ty: "boolean", .. } => "`true` or `false` is expected".to_owned(),
        InvalidScalar { ty: "u64", .. } => "a whole number is expected, without a unit".to_owned(),
        Unexpected { expected: "mapping start", .. } => {
            "fields are expected, each as `name: value`".to_owned()
        }
        Unexpected { expected: "string scalar", .. } => "a text is expected".to_owned(),
        other => {
            let text = other.to_string();
            // The reason begins with the place, and the caller cannot set the parser's options.
            let reason = text.lines().next().unwrap_or_default();
            let reason = reason.split(" at line ").next().unwrap_or(reason);
            reason.split(", set DuplicateKeyPolicy").next().unwrap_or(reason).to_owned()
        }
    }
}

/// Returns what to write for an unknown name.
fn meant(name: &str, known: &[&str], otherwise: &str) -> String {
    match nearest(name, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{otherwise} {}", known.join(", ")),
    }
}

/// Returns the known name that is most like another one.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let score = |known: &&str| strsim::jaro_winkler(name, known);
    let best = known.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(&best) > 0.75).then_some(best)
}
