//! Names every error of the facade, with a stable code and a next step.

mod interruption;

use std::{io, path::PathBuf, sync::Arc};

use provisioner_core::{
    CatalogError, CatalogErrorKind, Denial, EnsureEffect, ErrorCode, FetchError, FetchErrorKind, Hint,
    RelativePath, reference::did_you_mean, shell_word,
};

pub use self::interruption::Interruption;

/// What helps where it is not known what a model needs. Less memory helps only where that is known.
const NAME_IT: &str = "if you know that it fits, name the model itself, without a choice by memory";

/// Names a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a call did not provide the model.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The reference, a digest or a path is invalid, the policy denies the call, or a verifier refuses the model.
    #[error(transparent)]
    Core(#[from] provisioner_core::Error),
    /// A fetcher cannot list a model, or the source does not answer.
    #[error(transparent)]
    Fetch(Arc<FetchError>),
    /// The catalog cannot read or write a record.
    #[error(transparent)]
    Catalog(Arc<CatalogError>),
    /// A transfer ended before all bytes of a file had arrived, or the bytes were wrong.
    #[error(transparent)]
    Transfer(Arc<transfer::Error>),
    /// The store has no space, another process has its lock, or its files are not those that it wrote.
    #[error(transparent)]
    Store(Arc<artifact_store::Error>),
    /// The folder of an export or an import is malformed, or its bytes are wrong.
    #[error(transparent)]
    Bundle(Arc<bundle::Error>),
    /// A model's headers are malformed, or contradict each other or the files.
    #[error(transparent)]
    Inspect(Arc<model_inspect::Error>),
    /// The disk does not take or give a handoff, or the handoff does not prove its model.
    #[error(transparent)]
    Handoff(Arc<handoff::Error>),
    /// The disk does not take or give the provenance log, or a newer release wrote it.
    #[error("the provenance log cannot be used")]
    Provenance(#[source] Arc<provenance_log::Error>),
    /// Nothing that is recorded of the model can be stated.
    #[error("nothing can be stated of `{id}`: {reason}")]
    NothingToState {
        /// The id of the model.
        id: String,
        /// Says what is missing, for a person.
        reason: String,
        /// The way to make it known.
        hint: Hint,
    },
    /// A key or a signature is refused.
    #[cfg(feature = "signing")]
    #[error(transparent)]
    Signing(Arc<model_signing::Error>),
    /// The config has a mistake.
    #[error("invalid config `{path}`: {reason}")]
    Config {
        /// The path of the config file.
        path: PathBuf,
        /// The mistake in it, with the line, for a person.
        reason: String,
        /// The text to write instead.
        hint: Option<String>,
    },
    /// A file is not a key that this build reads.
    #[error("the key `{path}` cannot be read: {reason}")]
    Key {
        /// The path of the file.
        path: PathBuf,
        /// Says what the file has, and what is read, for a person.
        reason: String,
    },
    /// The caller demands a signature in a way that names no signer, or that this build does not verify.
    #[error("{reason}")]
    SignatureDemand {
        /// The reason, for a person.
        reason: &'static str,
    },
    /// The lock file has a mistake, or this release cannot read it.
    #[error("the lock file{} cannot be used: {reason}", told(.path.as_ref()))]
    LockFile {
        /// The path of the lock file, where it has one.
        path: Option<PathBuf>,
        /// The mistake in it, with the line where that is known, for a person.
        reason: String,
        /// The way to another one.
        hint: Option<Hint>,
    },
    /// The lock file that the call is held to does not have the model.
    #[error("`{id}` is not in the lock file{}", told(.path.as_ref()))]
    NotLocked {
        /// The id of the model.
        id: String,
        /// The path of the lock file, where it has one.
        path: Option<PathBuf>,
    },
    /// Neither the source nor the record has the SHA-256 of a file, and the file is too large to fetch for a lock file.
    #[error("`{id}` cannot be locked: its source lists no SHA-256 of `{path}`, which has {size} bytes")]
    NoDigest {
        /// The id of the model.
        id: String,
        /// The path of the file in its model.
        path: RelativePath,
        /// The size of the file, in bytes.
        size: u64,
    },
    /// The policy file of an operator has a mistake, or cannot be read. Such a file denies everything.
    #[error("invalid policy `{path}`: {reason}")]
    Policy {
        /// The path of the policy file.
        path: PathBuf,
        /// The mistake in it, with the line, for a person.
        reason: String,
        /// The text to write instead.
        hint: Option<String>,
    },
    /// None of the models that a reference may mean is certain to fit into the memory that the caller names.
    #[error("no model of `{id}` ({candidates} looked at) is certain to fit{vram}: {needs}")]
    NothingFits {
        /// The id of the reference.
        id: String,
        /// How many models the call looked at.
        candidates: usize,
        /// The memory, for a person.
        vram: String,
        /// Says what the smallest would need, or why that is not known, for a person.
        needs: String,
        /// Says whether it is known what one of them needs, so that less would help.
        is_known: bool,
    },
    /// This build has no source for a scheme.
    #[error("this build has no source for `{scheme}:` references")]
    UnsupportedScheme {
        /// The scheme of the reference, such as `s3`.
        scheme: String,
        /// How to build or configure a source for it.
        hint: String,
    },
    /// The catalog has no record of an id.
    #[error("`{id}` is not in the catalog")]
    NotInCatalog {
        /// The id that the caller asked for.
        id: String,
    },
    /// The operator retired the model, and has not activated it since.
    #[error("`{id}` is retired")]
    Retired {
        /// The id of the model.
        id: String,
    },
    /// Another process wrote to a file while it was being read.
    #[error("another process changed `{path}` while it was being read")]
    ChangedWhileRead {
        /// The path of the file.
        path: PathBuf,
    },
    /// Other processes change the record of the model during every attempt of this call.
    #[error("other processes change the record of `{id}` all the time")]
    Contended {
        /// The id of the record.
        id: String,
    },
    /// Another user owns the cache, or a folder or file in it, or can replace it.
    #[error("the cache `{path}` cannot be trusted: {reason}")]
    UnsafeCache {
        /// The path of the folder or file.
        path: PathBuf,
        /// The reason for the distrust, for a person.
        reason: String,
    },
    /// The caller's path for the handoff or the statement is that of a file that the call reads, or lies in the model or the cache.
    #[error(
        "a document at `{path}` would overwrite a file that this call reads, or be a file of the model or of the cache"
    )]
    HandoffInTheWay {
        /// The path of the document.
        path: PathBuf,
    },
    /// The caller gave no id, and the files at the path have none of their own.
    #[error("{what}")]
    NeedsId {
        /// Says what was found at the path, for a person.
        what: String,
        /// The way to give them an id.
        hint: Hint,
    },
    /// The operating system refused to read or write a file or a folder.
    #[error("{what}")]
    Storage {
        /// Says what the call was doing, and to which path.
        what: String,
        /// The answer of the operating system.
        source: Arc<io::Error>,
    },
    /// The work ended before it had a result. The cause says why.
    #[error("the work was cut off: {0}")]
    CutOff(Interruption),
}

/// Returns the path of a lock file as a message names it.
fn told(path: Option<&PathBuf>) -> String {
    path.map(|path| format!(" `{}`", path.display())).unwrap_or_default()
}

impl Error {
    pub(crate) fn storage(what: impl Into<String>, source: io::Error) -> Self {
        Self::Storage { what: what.into(), source: Arc::new(source) }
    }

    /// Returns the stable code, which `docs/error-codes.md` lists.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Core(error) => error.code(),
            Self::Fetch(error) => error.code(),
            Self::Catalog(error) => error.code(),
            Self::Transfer(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Inspect(error) => error.code(),
            Self::Handoff(error) => error.code(),
            Self::Provenance(error) => code_of_log(error),
            Self::NothingToState { .. } => ErrorCode::Unproven,
            #[cfg(feature = "signing")]
            Self::Signing(error) => error.code(),
            Self::Config { .. } => ErrorCode::InvalidConfig,
            Self::LockFile { .. } => ErrorCode::InvalidLock,
            Self::NotLocked { .. } => ErrorCode::NotLocked,
            Self::NoDigest { .. } => ErrorCode::Unproven,
            Self::Policy { .. } => ErrorCode::PolicyDenied,
            Self::Key { .. } => ErrorCode::InvalidKey,
            Self::SignatureDemand { .. } => ErrorCode::InvalidUsage,
            Self::HandoffInTheWay { .. } => ErrorCode::HandoffInTheWay,
            Self::NothingFits { .. } => ErrorCode::NothingFits,
            Self::UnsupportedScheme { .. } => ErrorCode::UnsupportedScheme,
            Self::NotInCatalog { .. } => ErrorCode::NotInCatalog,
            Self::Retired { .. } => ErrorCode::Retired,
            Self::ChangedWhileRead { .. } => ErrorCode::ChangedWhileRead,
            Self::Contended { .. } => ErrorCode::Busy,
            Self::UnsafeCache { .. } => ErrorCode::UnsafeCache,
            Self::NeedsId { .. } => ErrorCode::NeedsId,
            Self::Storage { source, .. } => ErrorCode::of_io(source),
            Self::CutOff(_) => ErrorCode::Failed,
        }
    }

    /// Returns the same error. Where nothing is at the path that a person wrote, its hint guesses what the person meant.
    #[must_use]
    pub fn guessing(self, written: &str) -> Self {
        let guess = match did_you_mean(written) {
            Some(hub) => format!("did you mean `{}`?", shell_word(&hub)),
            None if written.starts_with('~') => "`~` is the shell's; write the whole path".to_owned(),
            None => return self,
        };
        self.where_absent(guess.into())
    }

    /// Returns the same error. Where nothing is at a path, it has this hint.
    pub(crate) fn where_absent(self, hint: Hint) -> Self {
        match self {
            Self::Fetch(error) if error.code() == ErrorCode::NotFound => {
                FetchError::new(error.kind, error.to_string()).with_hint(hint).into()
            }
            Self::Storage { what, source } if ErrorCode::of_io(&source) == ErrorCode::NotFound => {
                FetchError::new(FetchErrorKind::NotFound, format!("{what}: {source}")).with_hint(hint).into()
            }
            other => other,
        }
    }

    /// Returns the error which says that another process changed the record of `id` meanwhile. The call then begins anew.
    pub(crate) fn conflict(id: &str) -> Self {
        let message = format!("another process changed the record of `{id}`");
        CatalogError::new(CatalogErrorKind::Conflict, message).into()
    }

    /// Returns whether another process changed the model's record or files meanwhile, so that the call begins anew.
    pub(crate) fn is_conflict(&self) -> bool {
        match self {
            Self::Catalog(error) => error.kind == CatalogErrorKind::Conflict,
            Self::Store(error) => {
                matches!(
                    **error,
                    artifact_store::Error::Vanished { .. } | artifact_store::Error::Changed { .. }
                )
            }
            _ => false,
        }
    }

    /// Returns whether this process may not write to the cache.
    pub(crate) fn is_unwritable(&self) -> bool {
        matches!(self.code(), ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    }

    /// Returns whether a verifier refused the model: the error is a verdict on the bytes.
    pub(crate) fn is_verdict(&self) -> bool {
        matches!(self, Self::Core(provisioner_core::Error::Rejected { .. }))
    }

    /// Returns what a policy denies, and by which rule, where that is the error.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Core(error) => error.denial(),
            Self::Fetch(error) => error.denial.as_deref(),
            Self::Transfer(error) => error.denial(),
            _ => None,
        }
    }

    /// Returns whether the same call may succeed later, although the caller changes nothing.
    pub fn is_retriable(&self) -> bool {
        self.code().is_retriable()
    }

    /// Returns the next step for a person or a program, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        let own = match self {
            Self::Core(error) => return error.hint(),
            Self::Handoff(error) => return error.hint(),
            Self::Fetch(error) => error.hint.clone(),
            Self::Transfer(error) => error.hint(),
            Self::LockFile { hint, .. } => hint.clone(),
            Self::NotLocked { id, path } => {
                let file = path.as_ref().map(|path| path.display().to_string());
                Some(Hint::Lock { id: id.clone(), file })
            }
            Self::NoDigest { id, .. } => {
                Some(Hint::Ensure { id: id.clone(), effect: EnsureEffect::ComputesDigests })
            }
            Self::Config { hint, .. } | Self::Policy { hint, .. } => hint.clone().map(Hint::from),
            Self::UnsupportedScheme { hint, .. } => Some(hint.clone().into()),
            Self::NothingToState { hint, .. } | Self::NeedsId { hint, .. } => Some(hint.clone()),
            Self::NothingFits { is_known: false, .. } => Some(Hint::text(NAME_IT)),
            Self::Retired { id } => Some(Hint::Activate { id: id.clone() }),
            Self::Inspect(error) => error.hint(),
            #[cfg(feature = "signing")]
            Self::Signing(error) => error.hint(),
            _ => None,
        };
        own.or_else(|| self.code().hint())
    }
}

/// Returns the code of a log that cannot be read or written.
fn code_of_log(error: &provenance_log::Error) -> ErrorCode {
    match error {
        provenance_log::Error::File(durable_fs::Error::Io(error)) => ErrorCode::of_io(error),
        provenance_log::Error::File(durable_fs::Error::Busy { .. }) => ErrorCode::Busy,
        provenance_log::Error::File(_) => ErrorCode::UnsafeCache,
        provenance_log::Error::Newer { .. } => ErrorCode::NewerRecord,
        provenance_log::Error::Stopped => ErrorCode::Failed,
        _ => ErrorCode::StorageFailed,
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Arc::new(error))
    }
}

impl From<CatalogError> for Error {
    fn from(error: CatalogError) -> Self {
        Self::Catalog(Arc::new(error))
    }
}

impl From<transfer::Error> for Error {
    fn from(error: transfer::Error) -> Self {
        Self::Transfer(Arc::new(error))
    }
}

impl From<file_hashing::Error> for Error {
    fn from(error: file_hashing::Error) -> Self {
        match error {
            file_hashing::Error::Io(error) => Self::storage("a file cannot be read", error),
            file_hashing::Error::Ended => Interruption::HashingEnded.into(),
            _ => Interruption::Abandoned.into(),
        }
    }
}

impl From<artifact_store::Error> for Error {
    fn from(error: artifact_store::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<bundle::Error> for Error {
    fn from(error: bundle::Error) -> Self {
        Self::Bundle(Arc::new(error))
    }
}

impl From<model_inspect::Error> for Error {
    fn from(error: model_inspect::Error) -> Self {
        Self::Inspect(Arc::new(error))
    }
}

impl From<handoff::Error> for Error {
    fn from(error: handoff::Error) -> Self {
        Self::Handoff(Arc::new(error))
    }
}

impl From<provenance_log::Error> for Error {
    fn from(error: provenance_log::Error) -> Self {
        Self::Provenance(Arc::new(error))
    }
}

#[cfg(feature = "signing")]
impl From<model_signing::Error> for Error {
    fn from(error: model_signing::Error) -> Self {
        Self::Signing(Arc::new(error))
    }
}

impl From<Interruption> for Error {
    fn from(what: Interruption) -> Self {
        Self::CutOff(what)
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => Interruption::of_panic(panic.as_ref()).into(),
            Err(_) => Interruption::RuntimeShutDown.into(),
        }
    }
}
