//! Holds the files of a model against what a signer says of them.
//!
//! | the file | what follows |
//! | --- | --- |
//! | is signed, and has the signed digest | it passes |
//! | is signed, and has another digest | the model fails |
//! | is a part of the model, and not signed | the model fails |
//! | was left out by the signer, and engines read it | the model fails |
//! | was left out by the signer, and is program code | a notice |
//! | was left out by the signer, and is for people | it passes |
//! | is signed, and the local folder does not have it | the model fails |
//! | is signed, and a whole repository does not list it | the model fails |
//! | is signed, and the choice of files left it out | it is told, for none of its bytes arrived |

use std::io;

use model_signing::{Bundle, Comparison, FoundFile, ReadBytes, SignedModel};
use provisioner_core::{
    Digest, DigestAlgorithm, Entry, ErrorCode, Expectation, Manifest, ModelRef, Notice, RecordedSignature,
    Rejection, RelativePath, Role, SignatureDemand, SignatureFile,
    reference::{RepoRef, RepoTarget},
    told,
};

use super::signature::is_signature;

/// The largest signature that a record keeps, in bytes.
const MAX_KEPT_BYTES: usize = 256 << 10;

/// How many of the files that stay out a record keeps. Beyond that it does not know what its source listed.
const MOST_RECORDED: usize = 256;

/// Endings of files for people, which a signer may leave out where no rule says what a file is.
const FOR_PEOPLE: [&str; 7] = ["md", "txt", "pdf", "png", "jpg", "jpeg", "gif"];

/// Says how a signature holds.
pub(crate) struct Held {
    pub(crate) signature: RecordedSignature,
    pub(crate) reason: String,
    pub(crate) notices: Vec<Notice>,
}

/// Says why no signature meets a demand.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: ErrorCode,
    pub(crate) reason: String,
}

impl Fault {
    /// Returns the rejection of a model that does not meet the demand.
    pub(crate) fn rejection(self, demand: &SignatureDemand) -> Rejection {
        Rejection::Signature { code: self.code, reason: self.reason, is_of_policy: demand.is_of_policy }
    }
}

/// Returns the signatures that hold for a listing, before the first byte of it arrives. What the listing does not tell,
/// it passes over.
///
/// # Errors
/// Why the model that is listed cannot meet a demand.
pub(crate) fn check_listing(
    manifest: &Manifest,
    expectation: &Expectation,
) -> Result<Vec<RecordedSignature>, Rejection> {
    let sha256 = |digest: &&Digest| digest.algorithm() == DigestAlgorithm::Sha256;
    let files = manifest.files().iter().map(|file| FoundFile {
        path: file.path.as_str(),
        size_bytes: file.size,
        sha256: file.digest.as_ref().filter(sha256),
    });
    // What lies here is compared once it is hashed, with all that lies beside it.
    let files: Vec<_> = files.filter(|_| !manifest.is_in_place()).collect();
    let subject = Subject { manifest, files: &files, is_here: !manifest.is_in_place() };
    let mut signatures = Vec::new();
    for demand in expectation.signatures() {
        match hold(demand, &subject, None) {
            Ok(Ok(held)) => signatures.push(held.signature),
            Ok(Err(fault)) if demand.is_enforced() => return Err(fault.rejection(demand)),
            // Nothing is read, so nothing fails to be read.
            _ => {}
        }
    }
    Ok(signatures)
}

/// Says which files of a model are compared, and how.
pub(crate) struct Subject<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) files: &'a [FoundFile<'a>],
    /// Says whether these are all files, so that one that is missing is missing for good.
    pub(crate) is_here: bool,
}

/// Holds a model against the signatures that were found with it, until one meets the demand.
///
/// # Errors
/// What keeps `read` from reading a file. The inner error says why no signature meets the demand.
pub(crate) fn hold(
    demand: &SignatureDemand,
    subject: &Subject<'_>,
    mut read: Option<&mut ReadBytes<'_>>,
) -> io::Result<Result<Held, Fault>> {
    let mut fault = None;
    for file in candidates(demand, subject.manifest) {
        let signed = Bundle::from_json(&file.bytes).and_then(|bundle| bundle.verify(&demand.signers));
        let found = match signed {
            Ok(signed) => held(subject, file, &signed, read.as_deref_mut())?,
            Err(error) => Err(Fault { code: error.code(), reason: format!("`{}`: {error}", file.name) }),
        };
        match found {
            Ok(held) => return Ok(Ok(held)),
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    Ok(Err(fault.unwrap_or_else(|| Fault {
        code: ErrorCode::SignatureMissing,
        reason: "no signature was found beside the model".to_owned(),
    })))
}

/// Returns the signatures that may meet a demand. A file beside the model with other contents than a signature's is not one.
fn candidates<'a>(
    demand: &'a SignatureDemand,
    manifest: &'a Manifest,
) -> impl Iterator<Item = &'a SignatureFile> {
    let named = demand.file.as_ref().map(|file| file.display().to_string());
    manifest.signatures().iter().filter(move |found| match &named {
        Some(named) => found.name == *named,
        None => Bundle::is_likely(&found.bytes),
    })
}

fn held(
    subject: &Subject<'_>,
    file: &SignatureFile,
    signed: &SignedModel,
    read: Option<&mut ReadBytes<'_>>,
) -> io::Result<Result<Held, Fault>> {
    let mut comparison = signed.files.compare(subject.files, read)?;
    let unsigned_code = settle(subject.manifest, &mut comparison);
    let absent = std::mem::take(&mut comparison.absent);
    let (missing, left_out): (Vec<_>, Vec<_>) =
        absent.into_iter().partition(|name| subject.is_here && is_missing(subject.manifest, name));
    let is_missing = |(_, name): &(String, String)| missing.contains(name);
    comparison.renamed.retain(is_missing);
    comparison.absent = missing;
    if let Some(differences) = differences(&comparison) {
        let reason =
            format!("`{}`: the files are not those that {} signed: {differences}", file.name, signed.signer);
        return Ok(Err(Fault { code: ErrorCode::SignatureMismatch, reason }));
    }
    let mut reason = format!("signed by {}", signed.signer);
    if !left_out.is_empty() {
        reason.push_str(", who signed files that the model does not need: ");
        reason.push_str(&quoted(&left_out));
    }
    let bundle = Some(&file.bytes).filter(|bytes| bytes.len() <= MAX_KEPT_BYTES);
    let signature = RecordedSignature {
        signer: signed.signer.clone(),
        file: file.name.clone(),
        sha256: Digest::sha256_of(&file.bytes),
        bundle: bundle.and_then(|bytes| String::from_utf8(bytes.clone()).ok()),
    };
    let elsewhere = code_elsewhere(subject.manifest);
    let notices = if unsigned_code.is_empty() && elsewhere.is_empty() {
        Vec::new()
    } else {
        vec![Notice::UnsignedCode { files: unsigned_code, elsewhere }]
    };
    Ok(Ok(Held { signature, reason, notices }))
}

/// Moves the files that the signer left out and that engines read to the unsigned ones, and takes away those that need no
/// signature. Returns the program code that the signer left out.
fn settle(manifest: &Manifest, comparison: &mut Comparison) -> Vec<String> {
    let mut code = Vec::new();
    for path in std::mem::take(&mut comparison.ignored) {
        let role = RelativePath::new(path.as_str()).ok().and_then(|path| manifest.role(&path));
        match role {
            Some(Role::Code) => code.push(path),
            None if has_ending(&path, &["py"]) => code.push(path),
            Some(Role::Other) => {}
            None if has_ending(&path, &FOR_PEOPLE) || is_hidden(&path) => {}
            _ => comparison.unsigned.push(path),
        }
    }
    let is_local = manifest.reference().is_local();
    comparison.unsigned.retain(|path| !(is_signature(path) || is_local && is_hidden(path)));
    comparison.unsigned.sort_unstable();
    code
}

/// Returns whether a file has to be there that the signer names and that the model does not have.
fn is_missing(manifest: &Manifest, name: &str) -> bool {
    let is_listed = || manifest.left_out().iter().any(|file| file.path == name);
    match manifest.reference() {
        // The name of a file that was signed alone: another file has to be it.
        _ if name == "." => true,
        ModelRef::Local(_) => *manifest.entry() == Entry::Folder,
        reference => {
            let target = reference.repository().map(RepoRef::target);
            let is_whole = matches!(target, Some(RepoTarget::Repository(selection)) if selection.is_empty());
            is_whole && !is_listed() && manifest.left_out().len() < MOST_RECORDED
        }
    }
}

/// Returns how the files differ, for a person; `None` where nothing counts against them.
fn differences(comparison: &Comparison) -> Option<String> {
    let Comparison { changed, unsigned, absent, renamed, .. } = comparison;
    let mut parts = Vec::new();
    for (what, paths) in [("changed", changed), ("not signed", unsigned), ("missing", absent)] {
        if !paths.is_empty() {
            parts.push(format!("{what}: {}", quoted(paths)));
        }
    }
    if !renamed.is_empty() {
        let pairs = renamed.iter().map(|(now, signed)| format!("`{now}` has the bytes of `{signed}`"));
        parts.push(told(pairs.collect::<Vec<_>>().iter()));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Returns the repositories from which an engine would take more program code.
fn code_elsewhere(manifest: &Manifest) -> Vec<String> {
    let elsewhere = manifest.notices().iter().find_map(|notice| match notice {
        Notice::RemoteCode { elsewhere, .. } => Some(elsewhere.clone()),
        _ => None,
    });
    elsewhere.unwrap_or_default()
}

fn has_ending(path: &str, endings: &[&str]) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, ending)| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}

/// Returns paths as a message shows them: the signer chose the names.
fn quoted(paths: &[String]) -> String {
    told(paths.iter().map(|path| format!("`{}`", path.escape_debug())))
}
