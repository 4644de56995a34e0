//! A failure, as the command tells it.

use std::{error::Error as StdError, io};

use model_provisioner::{Error, ErrorCode};
use serde::Serialize;

use crate::escape::bounded;

/// What the command says when it fails.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    pub(crate) retriable: bool,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let hint = code.hint().map(str::to_owned);
        let message = bounded(&message.into()).into_owned();
        Self { code, message, hint, retriable: code.is_retriable() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidUsage, message)
    }

    /// The same failure with another hint, where there is one.
    pub(crate) fn hinting(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(ErrorCode::Interrupted, "interrupted")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { hint: error.hint(), ..Self::new(error.code(), chain(&error)) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorCode::of_io(&error), error.to_string())
    }
}

/// An error and all that caused it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
