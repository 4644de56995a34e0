//! Says why a verifier rejects a model.

use std::fmt;

use crate::{
    code::ErrorCode, digest::Digest, hint::Hint, message::MOST_TOLD, path::RelativePath, verification::Basis,
};

/// Says why a verifier rejects a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The bytes do not have the digest that the caller demands.
    Mismatch {
        /// The path of the file, where it is one of several.
        path: Option<RelativePath>,
        /// The digest that the caller demands.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
        /// How the demanded digest is known.
        basis: Basis,
    },
    /// The caller demands strict verification, and there is no digest to compare with.
    Unproven {
        /// The digest of the bytes, which a person can pin.
        actual: Digest,
    },
    /// The source lists another digest than the caller demands. So the provisioner fetches no byte.
    Contradicted {
        /// The digest that the caller demands.
        expected: Digest,
        /// The digest that the source lists.
        listed: Digest,
        /// How the demanded digest is known.
        basis: Basis,
    },
    /// The source lists something else than the lock file pins. So the provisioner fetches no byte.
    NotAsLocked {
        /// The difference, as a fragment.
        reason: String,
    },
    /// The caller demands the digest of one file of a set.
    NotOneFile {
        /// The digest of the set, where a process has computed it.
        tree: Option<Digest>,
        /// The path of each file, with its SHA-256 where that is known.
        files: Vec<(Option<Digest>, RelativePath)>,
    },
    /// No process has hashed the bytes, and the expectation needs their digest.
    NotHashed,
    /// A verifier other than the digest verifier finds a fault.
    Unsound {
        /// The name of the verifier.
        verifier: &'static str,
        /// The fault, as a fragment.
        reason: String,
    },
    /// An index and the weights that it names are not of one model.
    Index {
        /// The name of the verifier.
        verifier: &'static str,
        /// How they differ, as a fragment.
        reason: String,
    },
    /// A pointer of Git LFS lies in the place of a file that engines read.
    Pointer {
        /// The name of the verifier.
        verifier: &'static str,
        /// Which file it is, as a fragment.
        reason: String,
        /// Says whether the model lies where the caller keeps its own files, and not in a repository of a source.
        is_local: bool,
    },
    /// The file is a companion of a model, and the reference does not name it in full.
    Companion {
        /// The name of the verifier.
        verifier: &'static str,
        /// Which file it is, and what its header says, as a fragment.
        reason: String,
        /// The reference that names the file in full.
        full_name: String,
    },
    /// A signature is demanded, and there is none, or it does not hold.
    Signature {
        /// The code of the fault: one of those of signatures.
        code: ErrorCode,
        /// The fault, as a fragment.
        reason: String,
        /// Says whether a policy demands the signature, and not the caller.
        is_of_policy: bool,
    },
    /// A verifier other than the digest verifier misses a file.
    Incomplete {
        /// The name of the verifier.
        verifier: &'static str,
        /// Which file is missing, and which other file names it, as a fragment.
        reason: String,
    },
}

impl Rejection {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Mismatch { .. } | Self::Contradicted { .. } | Self::NotAsLocked { .. } => {
                ErrorCode::DigestMismatch
            }
            Self::Unproven { .. } | Self::NotHashed => ErrorCode::Unproven,
            Self::NotOneFile { .. } => ErrorCode::DigestNeedsOneFile,
            Self::Unsound { .. } | Self::Index { .. } | Self::Pointer { .. } | Self::Companion { .. } => {
                ErrorCode::Rejected
            }
            Self::Incomplete { .. } => ErrorCode::MissingShard,
            Self::Signature { code, .. } => *code,
        }
    }

    /// Returns the next step, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Mismatch { path: None, actual, .. } | Self::Contradicted { listed: actual, .. } => {
                Some(Hint::PinActual { digest: actual.clone() })
            }
            Self::Unproven { actual } => Some(Hint::Pin { digest: actual.clone() }),
            Self::NotOneFile { tree: Some(tree), .. } => Some(Hint::PinSet { digest: tree.clone() }),
            Self::NotOneFile { tree: None, .. } => Some(Hint::LearnSetDigest),
            Self::Index { .. } => Some(
                "bring both from one revision; where the weights are the right ones, take the index away, or leave it out with a pattern"
                    .into(),
            ),
            Self::Pointer { is_local: true, .. } => {
                Some("the clone lacks its large files: `git lfs pull` in it fetches them".into())
            }
            Self::Pointer { is_local: false, .. } => {
                Some("the repository itself has the pointer; another revision of it may have the file".into())
            }
            Self::Companion { full_name, .. } => {
                Some(format!("if the file itself is meant, name it in full: `{full_name}`").into())
            }
            Self::Signature { code, .. } => code.hint(),
            Self::NotAsLocked { .. } => Some(Hint::LockAgain),
            Self::Mismatch { .. } | Self::NotHashed | Self::Unsound { .. } | Self::Incomplete { .. } => None,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch { path, expected, actual, basis } => {
                if let Some(path) = path {
                    write!(f, "{path}: ")?;
                }
                write!(f, "digest mismatch: expected {expected} ({}), got {actual}", basis.as_str())
            }
            Self::Unproven { actual } => {
                write!(
                    f,
                    "strict verification needs a digest from elsewhere, and there is none; the bytes have {actual}"
                )
            }
            Self::Contradicted { expected, listed, basis } => {
                let basis = basis.as_str();
                write!(f, "digest mismatch: expected {expected} ({basis}), but its source lists {listed}")
            }
            Self::NotAsLocked { reason } => write!(f, "not what the lock file pins: {reason}"),
            Self::NotOneFile { tree, files } => {
                write!(f, "a digest of one file was given for a set of {}", files.len())?;
                if let Some(tree) = tree {
                    write!(f, ", which has {tree}")?;
                }
                write_table(f, files)
            }
            Self::NotHashed => write!(f, "its bytes were not hashed"),
            Self::Unsound { verifier, reason }
            | Self::Index { verifier, reason }
            | Self::Pointer { verifier, reason, .. }
            | Self::Companion { verifier, reason, .. }
            | Self::Incomplete { verifier, reason } => write!(f, "{verifier}: {reason}"),
            Self::Signature { reason, .. } => f.write_str(reason),
        }
    }
}

/// Writes the files of a set, each with its digest. It leaves out the rest of very many, for a stranger may have listed them.
fn write_table(f: &mut fmt::Formatter<'_>, files: &[(Option<Digest>, RelativePath)]) -> fmt::Result {
    for (digest, path) in files.iter().take(MOST_TOLD) {
        let sha256 = digest.as_ref().map_or_else(|| "(its SHA-256 is not listed)".to_owned(), Digest::hex);
        write!(f, "\n  {sha256:64}  {path}")?;
    }
    match files.len().saturating_sub(MOST_TOLD) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more"),
    }
}
