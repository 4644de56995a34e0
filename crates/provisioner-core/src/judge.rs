//! Reaches the verdict: the digest verifier compares, further verifiers look closer, and strictness has the last word.

use std::{fmt, io, sync::Arc};

use crate::{
    choice::Notice,
    clock::Timestamp,
    digest::{Digest, DigestAlgorithm},
    error::Error,
    facts::ModelFacts,
    rejection::Rejection,
    signature::RecordedSignature,
    staged::{StagedFile, StagedModel},
    verification::{Basis, Expectation, Outcome, Verification},
};

mod listing;

/// Judges a staged model.
///
/// # Contract
/// - The caller calls it on a thread that may block. It may read the staged files, and changes nothing.
/// - It does not panic on any bytes.
/// - For a file that it cannot read it returns the error, and never [`Verdict::Fail`]. That error ends the judgement, and
///   the model keeps its place and its record.
/// - The caller calls it once for each judgement, after the digest verifier has passed or warned. The first failure ends the
///   judgement.
/// - A `basis` in a pass claims that the verifier covers the bytes themselves (by a signature over their digests, say). A
///   verifier of structure gives none.
pub trait Verifier: fmt::Debug + Send + Sync + 'static {
    /// Returns the name of the verifier, for reasons and logs.
    fn name(&self) -> &'static str;

    /// Judges the model, and returns the verdict.
    ///
    /// # Errors
    /// What keeps the verifier from reading the model.
    fn verify(&self, model: &StagedModel, expectation: &Expectation) -> io::Result<Verdict>;

    /// Judges the model, and returns the verdict with what the verifier learned of the model on the way. The default learns
    /// nothing.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    fn examine(&self, model: &StagedModel, expectation: &Expectation) -> io::Result<Finding> {
        Ok(self.verify(model, expectation)?.into())
    }
}

/// Holds a verdict, and what the verifier learned on the way to it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The verdict on the model.
    pub verdict: Verdict,
    /// Says what the verifier read of the model's own statements.
    pub facts: Option<ModelFacts>,
    /// The signatures that the verifier found to be by trusted signers.
    pub signatures: Vec<RecordedSignature>,
    /// Tells what a person should know of the model besides.
    pub notices: Vec<Notice>,
}

impl From<Verdict> for Finding {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, facts: None, signatures: Vec::new(), notices: Vec::new() }
    }
}

/// Says what one verifier found.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The verifier finds the model as it should be.
    Pass {
        /// How the bytes are known to be right, where this verifier knows.
        basis: Option<Basis>,
        /// Why the model passes, as a text for a person.
        reason: String,
    },
    /// The verifier finds nothing against the model, and something missing or odd.
    Warn {
        /// Says what is missing or odd, as a text for a person.
        reason: String,
    },
    /// No engine may use the model, for this reason.
    Fail(Rejection),
}

/// Compares the digests that were computed while the bytes arrived with those that the caller demands and those that the
/// source lists. This verifier reads no file.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigestVerifier;

impl Verifier for DigestVerifier {
    fn name(&self) -> &'static str {
        "digest"
    }

    fn verify(&self, model: &StagedModel, expectation: &Expectation) -> io::Result<Verdict> {
        Ok(compare(model, expectation).unwrap_or_else(Verdict::Fail))
    }
}

fn compare(model: &StagedModel, expectation: &Expectation) -> Result<Verdict, Rejection> {
    let source = compare_with_source(model)?;
    if let Some((expected, basis)) = expectation.digest() {
        let actual = computed(model, expected.algorithm())?;
        if actual != *expected {
            return Err(Rejection::Mismatch { path: None, expected: expected.clone(), actual, basis });
        }
        return Ok(Verdict::Pass { basis: Some(basis), reason: format!("matches the {}", describe(basis)) });
    }
    Ok(match (source, model.digest()) {
        (true, _) => Verdict::Pass {
            basis: Some(Basis::Source),
            reason: match model.manifest().listing() {
                Some(file) => {
                    format!("matches the digests that its source gave, as `{}` keeps them", file.display())
                }
                None => "matches the digests that its source gives".to_owned(),
            },
        },
        (false, Some(_)) => {
            Verdict::Pass { basis: Some(Basis::FirstUse), reason: "hashed for the first time".to_owned() }
        }
        (false, None) => {
            Verdict::Warn { reason: "no digest was given, and its bytes were not read".to_owned() }
        }
    })
}

/// Returns whether the source listed a digest of every file.
///
/// # Errors
/// A mismatch where the bytes of a file do not have the listed digest.
fn compare_with_source(model: &StagedModel) -> Result<bool, Rejection> {
    let mut all = true;
    for (listed, staged) in model.manifest().files().iter().zip(model.files()) {
        let Some(expected) = &listed.digest else {
            all = false;
            continue;
        };
        let actual = match expected.algorithm() {
            DigestAlgorithm::GitSha1 => &staged.git_sha1,
            DigestAlgorithm::Sha256 | DigestAlgorithm::Sha256Tree => &staged.sha256,
        };
        match actual {
            Some(actual) if actual == expected => {}
            Some(actual) => {
                let (path, expected, actual) = (Some(staged.path.clone()), expected.clone(), actual.clone());
                return Err(Rejection::Mismatch { path, expected, actual, basis: Basis::Source });
            }
            None => return Err(Rejection::NotHashed),
        }
    }
    Ok(all)
}

fn computed(model: &StagedModel, algorithm: DigestAlgorithm) -> Result<Digest, Rejection> {
    let tree = || model.tree().ok_or(Rejection::NotHashed);
    let of_single = |digest: fn(&StagedFile) -> &Option<Digest>| {
        if let Some(file) = model.manifest().known_by_one().and_then(|only| model.file(&only.path)) {
            digest(file).clone().ok_or(Rejection::NotHashed)
        } else {
            let files = model.files().iter().map(|file| (file.sha256.clone(), file.path.clone()));
            Err(Rejection::NotOneFile { tree: Some(tree()?), files: files.collect() })
        }
    };
    match algorithm {
        DigestAlgorithm::Sha256 => of_single(|file| &file.sha256),
        DigestAlgorithm::GitSha1 => of_single(|file| &file.git_sha1),
        DigestAlgorithm::Sha256Tree => tree(),
    }
}

fn describe(basis: Basis) -> &'static str {
    match basis {
        Basis::FirstUse => "digest of its first use",
        Basis::Source => "digest that its source gave",
        Basis::Signed => "signed digest",
        Basis::Pinned => "pinned digest",
    }
}

/// Holds what all verifiers found.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) verification: Verification,
    pub(crate) facts: Option<ModelFacts>,
    pub(crate) signatures: Vec<RecordedSignature>,
    pub(crate) notices: Vec<Notice>,
}

/// Asks every verifier, then strictness.
pub(crate) fn judge(
    model: &StagedModel,
    expectation: &Expectation,
    verifiers: &[Arc<dyn Verifier>],
    now: Timestamp,
) -> Result<Judgement, Error> {
    let id = || model.manifest().reference().id();
    let rejected = |rejection| Error::Rejected { id: id(), rejection };
    let (mut outcome, mut basis, mut reasons, mut known) = (Outcome::Pass, None, Vec::new(), None);
    let (mut signatures, mut notices) = (Vec::new(), Vec::new());
    let digest_first: [&dyn Verifier; 1] = [&DigestVerifier];
    for verifier in digest_first.into_iter().chain(verifiers.iter().map(AsRef::as_ref)) {
        let unread = |source| Error::Unread { id: id(), verifier: verifier.name(), source: Arc::new(source) };
        let found = verifier.examine(model, expectation).map_err(unread)?;
        known = known.or(found.facts);
        signatures.extend(found.signatures);
        notices.extend(found.notices);
        match found.verdict {
            Verdict::Pass { basis: found, reason } => {
                basis = basis.max(found);
                reasons.push(reason);
            }
            Verdict::Warn { reason } => {
                outcome = Outcome::Warn;
                reasons.push(reason);
            }
            Verdict::Fail(rejection) => return Err(rejected(rejection)),
        }
    }
    let verified_at = model.digest().map(|_| now);
    let verification = Verification { outcome, basis, reason: reasons.join("; "), verified_at };
    if expectation.is_strict() && !verification.is_strict_pass() {
        return Err(rejected(match model.digest() {
            // The digest passes, and another verifier warns.
            Some(_) if basis.is_some_and(Basis::is_strict) => {
                Rejection::Unsound { verifier: "strict", reason: verification.reason }
            }
            Some(actual) => Rejection::Unproven { actual },
            None => Rejection::NotHashed,
        }));
    }
    Ok(Judgement { verification, facts: known, signatures, notices })
}

#[cfg(test)]
mod tests;
