//! Everything that can go wrong, with a stable code and a next step.

use std::{io, path::PathBuf, sync::Arc};

use provisioner_core::{
    CatalogError, CatalogErrorKind, ErrorCode, FetchError, FetchErrorKind, Hint, reference::did_you_mean,
    shell_word,
};

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// The model cannot be provided.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name, a digest or a policy says no.
    #[error(transparent)]
    Core(#[from] provisioner_core::Error),
    /// The source failed.
    #[error(transparent)]
    Fetch(Arc<FetchError>),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(Arc<CatalogError>),
    /// The bytes did not arrive.
    #[error(transparent)]
    Transfer(Arc<transfer::Error>),
    /// The store failed.
    #[error(transparent)]
    Store(Arc<artifact_store::Error>),
    /// A model's headers cannot be read, or contradict each other or the files.
    #[error(transparent)]
    Inspect(Arc<model_inspect::Error>),
    /// The handoff failed.
    #[error(transparent)]
    Handoff(Arc<handoff::Error>),
    /// A config cannot be understood.
    #[error("invalid config `{path}`: {reason}")]
    Config {
        /// The config.
        path: PathBuf,
        /// What is wrong, and in which line.
        reason: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// This build has no source for a scheme.
    #[error("this build has no source for `{scheme}:` references")]
    UnsupportedScheme {
        /// The scheme.
        scheme: String,
        /// What would bring it.
        hint: String,
    },
    /// The catalog has no record of an id.
    #[error("`{id}` is not in the catalog")]
    NotInCatalog {
        /// The id.
        id: String,
    },
    /// The model is retired.
    #[error("`{id}` is retired")]
    Retired {
        /// The id.
        id: String,
    },
    /// A file changed while it was being read.
    #[error("`{path}` changed while it was being read")]
    ChangedWhileRead {
        /// The file.
        path: PathBuf,
    },
    /// Others change a record faster than we can.
    #[error("the record of `{id}` is being changed by others all the time")]
    Contended {
        /// The id.
        id: String,
    },
    /// The cache, or something in it, is not ours to trust.
    #[error("the cache `{path}` cannot be trusted: {reason}")]
    UnsafeCache {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The handoff would be written over the config or the model.
    #[error("the handoff `{path}` would overwrite the config or be one of the model's files")]
    HandoffInTheWay {
        /// The handoff.
        path: PathBuf,
    },
    /// What is imported has no id of its own.
    #[error("{what}")]
    NeedsId {
        /// What it is.
        what: String,
        /// How to give it one.
        hint: Hint,
    },
    /// A file or folder failed.
    #[error("{what}")]
    Storage {
        /// What was being done, and to which path.
        what: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The work ended without a result: a bug, or a runtime that is shutting down.
    #[error("the work was cut off: {reason}")]
    CutOff {
        /// What is known of it.
        reason: String,
    },
}

impl Error {
    pub(crate) fn storage(what: impl Into<String>, source: io::Error) -> Self {
        Self::Storage { what: what.into(), source: Arc::new(source) }
    }

    /// The stable code, listed in `docs/error-codes.md`.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Core(error) => error.code(),
            Self::Fetch(error) => error.code(),
            Self::Catalog(error) => error.code(),
            Self::Transfer(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Inspect(error) => error.code(),
            Self::Handoff(error) => error.code(),
            Self::Config { .. } => ErrorCode::InvalidConfig,
            Self::HandoffInTheWay { .. } => ErrorCode::HandoffInTheWay,
            Self::UnsupportedScheme { .. } => ErrorCode::UnsupportedScheme,
            Self::NotInCatalog { .. } => ErrorCode::NotInCatalog,
            Self::Retired { .. } => ErrorCode::Retired,
            Self::ChangedWhileRead { .. } => ErrorCode::ChangedWhileRead,
            Self::Contended { .. } => ErrorCode::Busy,
            Self::UnsafeCache { .. } => ErrorCode::UnsafeCache,
            Self::NeedsId { .. } => ErrorCode::NeedsId,
            Self::Storage { source, .. } => ErrorCode::of_io(source),
            Self::CutOff { .. } => ErrorCode::Failed,
        }
    }

    /// The same error; where nothing is at the path that a person wrote, with a guess at what was meant.
    #[must_use]
    pub fn guessing(self, written: &str) -> Self {
        let guess = match did_you_mean(written) {
            Some(hub) => format!("did you mean `{}`?", shell_word(&hub)),
            None if written.starts_with('~') => "`~` is the shell's; write the whole path".to_owned(),
            None => return self,
        };
        self.where_absent(guess.into())
    }

    /// The same error; with this hint where nothing is at a path.
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

    /// Whether others changed meanwhile what this was about, so that it is to be begun anew.
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

    /// Whether a verifier said no, so that this is a verdict on the bytes.
    pub(crate) fn is_verdict(&self) -> bool {
        matches!(self, Self::Core(provisioner_core::Error::Rejected { .. }))
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        self.code().is_retriable()
    }

    /// The next step, where there is one.
    pub fn hint(&self) -> Option<Hint> {
        let own = match self {
            Self::Core(error) => return error.hint(),
            Self::Handoff(error) => return error.hint(),
            Self::Fetch(error) => error.hint.clone(),
            Self::Transfer(error) => error.hint(),
            Self::Config { hint, .. } => hint.clone().map(Hint::from),
            Self::UnsupportedScheme { hint, .. } => Some(hint.clone().into()),
            Self::NeedsId { hint, .. } => Some(hint.clone()),
            Self::Retired { id } => Some(Hint::Activate { id: id.clone() }),
            _ => None,
        };
        own.or_else(|| self.code().hint())
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

impl From<artifact_store::Error> for Error {
    fn from(error: artifact_store::Error) -> Self {
        Self::Store(Arc::new(error))
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

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::CutOff { reason: error.to_string() }
    }
}
