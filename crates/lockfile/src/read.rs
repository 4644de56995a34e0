//! Reads the text of a lock file, which a merge, an editor or a stranger may have written.

use std::collections::BTreeSet;

use provisioner_core::{
    Digest, DigestAlgorithm, LockFile, LockedFile, LockedModel, ModelRef, RelativePath, excerpt,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// The version that this release reads and writes.
pub(crate) const VERSION: i64 = 1;

/// The largest length of the text, in bytes: enough for a hundred thousand files.
pub const MAX_BYTES: usize = 16 << 20;

/// The largest length of a revision, in bytes.
const MAX_REVISION_BYTES: usize = 256;

/// How much of a mistake a message shows, in characters.
const MOST_SHOWN: usize = 200;

/// Holds what every version has.
#[derive(Deserialize)]
struct Versioned {
    version: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
    #[serde(rename = "version")]
    _version: i64,
    #[serde(default)]
    model: Vec<RawModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    #[serde(rename = "ref")]
    reference: toml::Spanned<String>,
    revision: Option<String>,
    dir_hash: String,
    files: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: String,
    size: u64,
    sha256: String,
}

/// Holds the line that names a reference, read by itself.
#[derive(Deserialize)]
struct ReferenceLine {
    #[serde(rename = "ref")]
    reference: String,
}

/// Returns the models of a lock file's text.
///
/// # Errors
/// [`Error::Conflict`] for the marks of a merge, [`Error::Newer`] for a later version, and [`Error::Invalid`] for any other mistake.
pub fn read(text: &str) -> Result<LockFile> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLarge { limit: MAX_BYTES });
    }
    if let Some(line) = first_mark(text) {
        return Err(Error::Conflict { line, references: references_in(text) });
    }
    let Versioned { version } = parsed(text)?;
    match version {
        VERSION => {}
        found if found > VERSION => return Err(Error::Newer { found, known: VERSION }),
        found => return Err(invalid(None, format!("there is no version {found}"))),
    }
    let mut lock = LockFile::default();
    for model in parsed::<RawLock>(text)?.model {
        let line = Some(line_at(text, model.reference.span().start));
        let model = checked(model).map_err(|reason| invalid(line, reason))?;
        if let Some(twice) = lock.insert(model) {
            return Err(invalid(line, format!("`{}` is there twice", twice.reference())));
        }
    }
    Ok(lock)
}

/// Returns the number of the first line that is a mark of a merge.
fn first_mark(text: &str) -> Option<usize> {
    let is_mark = |line: &str| ["<<<<<<<", ">>>>>>>"].iter().any(|mark| line.starts_with(mark));
    text.lines().position(is_mark).map(|index| index + 1)
}

/// Returns the canonical references that the lines of a text name, whatever else the text is.
fn references_in(text: &str) -> Vec<String> {
    let named = text.lines().filter(|line| line.starts_with("ref")).filter_map(|line| {
        let ReferenceLine { reference } = toml::from_str(line).ok()?;
        canonical(&reference).ok().map(|parsed| parsed.id())
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Reads a document, and says a mistake in one line.
fn parsed<T: DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        let reason = error.message().lines().next().unwrap_or_default();
        invalid(line, excerpt(reason, MOST_SHOWN).escape_debug().to_string())
    })
}

/// Returns the number of the line that has the byte at an offset.
fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn invalid(line: Option<usize>, reason: String) -> Error {
    Error::Invalid { line, reason }
}

/// Returns the model that an entry describes, or its mistake.
fn checked(model: RawModel) -> Result<LockedModel, String> {
    let reference = canonical(model.reference.as_ref())?;
    if let Some(revision) = &model.revision {
        let is_name = !revision.is_empty() && !revision.chars().any(char::is_control);
        if !is_name || revision.len() > MAX_REVISION_BYTES {
            return Err("its revision is not the name of one".to_owned());
        }
    }
    let mut files = Vec::new();
    for RawFile { path, size, sha256 } in model.files {
        let path = RelativePath::new(path).map_err(|error| error.to_string())?;
        let sha256 = hex(DigestAlgorithm::Sha256, &sha256)?;
        files.push(LockedFile { path, size, sha256 });
    }
    let locked = LockedModel::new(reference, model.revision, files).map_err(|error| error.to_string())?;
    let stated = hex(DigestAlgorithm::Sha256Tree, &model.dir_hash)?;
    if stated != *locked.tree() {
        return Err(format!(
            "its files have the `dir_hash` {}, and it says another one",
            locked.tree().hex()
        ));
    }
    Ok(locked)
}

/// Returns a reference that is written as its id.
fn canonical(text: &str) -> Result<ModelRef, String> {
    let reference: ModelRef =
        text.parse().map_err(|error: provisioner_core::Error| excerpt(&error.to_string(), MOST_SHOWN))?;
    if reference.id() == text {
        return Ok(reference);
    }
    Err(format!("its reference is written `{}`", excerpt(&reference.id(), MOST_SHOWN)))
}

fn hex(algorithm: DigestAlgorithm, text: &str) -> Result<Digest, String> {
    Digest::new(algorithm, text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
