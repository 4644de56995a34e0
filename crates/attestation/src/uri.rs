//! Names a model by a URI.

use std::{os::unix::ffi::OsStrExt, path::Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use provisioner_core::{
    ModelRef, RelativePath,
    reference::{RepoTarget, is_commit},
};

use crate::model::StatedModel;

/// What a segment of a package URL keeps as it is (ECMA-427, section 5.4).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// What the text behind a scheme keeps as it is: the characters of RFC 3986 that a URI may hold, and `%`.
const URI: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'#')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b'%');

/// Returns whether a text has the form of a URI: a scheme, a colon, and no space behind it (RFC 3986, section 3).
///
/// ```
/// assert!(attestation::is_uri("https://example.org/models") && attestation::is_uri("urn:example:models"));
/// assert!(!attestation::is_uri("example.org/models") && !attestation::is_uri("https://a b"));
/// ```
pub fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_part = |next: char| next.is_ascii_alphanumeric() || "+-.".contains(next);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(is_part)
        && !text.contains(|next: char| next.is_whitespace() || next.is_control())
}

/// Returns the URI of a model at a revision: a package URL (`pkg:huggingface/org/repo@commit#path`) for a model of the Hugging
/// Face Hub, a `file:` address for a local one, and the id for any other.
///
/// ```
/// use attestation::resource_uri;
/// use provisioner_core::ModelRef;
///
/// let model = ModelRef::parse("hf:org/repo/q4.gguf", None)?;
/// let commit = "0123456789abcdef0123456789abcdef01234567";
/// assert_eq!(resource_uri(&model, Some(commit)), format!("pkg:huggingface/org/repo@{commit}#q4.gguf"));
/// # Ok::<(), provisioner_core::Error>(())
/// ```
pub fn resource_uri(reference: &ModelRef, revision: Option<&str>) -> String {
    match package_url(reference, revision) {
        Some(package_url) => package_url,
        None => match reference {
            ModelRef::Local(local) => format!("file://{}", encoded_path(local.as_str())),
            other => utf8_percent_encode(&other.id(), URI).to_string(),
        },
    }
}

/// Returns the package URL of a model of the Hugging Face Hub; `None` for any other, for which no type of package URL is defined.
pub(crate) fn package_url(reference: &ModelRef, revision: Option<&str>) -> Option<String> {
    let repository = reference.repository().filter(|repository| repository.scheme() == "hf")?;
    let mut url = format!("pkg:huggingface/{}", encoded_path(repository.repo()));
    if let Some(revision) = revision.or(repository.revision()) {
        let revision = if is_commit(revision) { revision.to_ascii_lowercase() } else { revision.to_owned() };
        url = format!("{url}@{}", utf8_percent_encode(&revision, SEGMENT));
    }
    let subpath = match repository.target() {
        RepoTarget::Path(path) => Some(RelativePath::as_str(path)),
        _ => None,
    };
    Some(match subpath {
        Some(path) => format!("{url}#{}", encoded_path(path)),
        None => url,
    })
}

/// Returns the `file:` address of an absolute path, whatever its bytes are.
pub(crate) fn file_uri(path: &Path) -> String {
    let segments = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
    let segments: Vec<_> = segments.map(|segment| percent_encode(segment, SEGMENT).to_string()).collect();
    format!("file://{}", segments.join("/"))
}

/// Returns the URI of a signature of a model, whose path is absolute or begins at the model.
pub(crate) fn signature_uri(model: &StatedModel<'_>, file: &str) -> String {
    let path = Path::new(file);
    if path.is_absolute() {
        return file_uri(path);
    }
    let revision = model.record.revision.as_deref();
    match model.reference {
        ModelRef::Local(local) => {
            let local = local.path();
            // The signature of a folder lies in it, and that of a file beside it.
            let is_file = model.record.entry.is_some();
            let folder = local.parent().filter(|_| is_file).unwrap_or(local);
            file_uri(&folder.join(file))
        }
        other => match in_repository(other, revision, file) {
            Some(named) => resource_uri(&named, revision),
            None => format!("{}#{}", resource_uri(other, revision), encoded_path(file)),
        },
    }
}

/// Returns the reference to a file of a model's repository, at a revision. `None` for a source without repositories.
fn in_repository(reference: &ModelRef, revision: Option<&str>, file: &str) -> Option<ModelRef> {
    let repository = reference.repository()?.clone();
    let repository = match revision {
        Some(revision) => repository.at(revision),
        None => repository,
    };
    Some(ModelRef::Repo(repository.file(&RelativePath::new(file).ok()?).ok()?))
}

fn encoded_path(path: &str) -> String {
    let segments: Vec<_> =
        path.split('/').map(|segment| utf8_percent_encode(segment, SEGMENT).to_string()).collect();
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &str, revision: Option<&str>, expected: &str) {
        let reference = ModelRef::parse(reference, None).unwrap();
        assert_eq!(resource_uri(&reference, revision), expected);
    }

    #[test]
    fn each_source_has_a_uri() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        check("hf:org/repo", Some(commit), &format!("pkg:huggingface/org/repo@{commit}"));
        check("hf:gpt2", Some(commit), &format!("pkg:huggingface/gpt2@{commit}"));
        check("hf:org/repo:Q4_K_M", Some(commit), &format!("pkg:huggingface/org/repo@{commit}"));
        check("hf:org/repo@v1%2F2/a b/x.gguf", None, "pkg:huggingface/org/repo@v1%2F2#a%20b/x.gguf");
        check("local:/models/a b#1.gguf", None, "file:///models/a%20b%231.gguf");
        check("mem:shelf/a", None, "mem:shelf/a");
    }
}
