//! Describes a failure, as the command prints it.

use std::{error::Error as StdError, io};

use model_provisioner::{Denial, Error, ErrorCode};
use serde::Serialize;

use super::{escape::bounded, hint};

/// Describes a failure.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Failure {
    /// The stable code: `docs/error-codes.md` lists all.
    pub(crate) code: ErrorCode,
    /// What happened, with every cause.
    pub(crate) message: String,
    /// The next step, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// Whether the same command may succeed later, though neither the user nor the operator changes anything.
    pub(crate) retriable: bool,
    /// What a policy denies.
    #[serde(flatten)]
    pub(crate) denied: Option<DeniedRule>,
}

/// Names the rule of a policy that denies something.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DeniedRule {
    /// The rule, as a policy file writes it.
    rule: String,
    /// The value that it denies.
    value: String,
    /// Where the rule stands: the file and the key.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

impl From<&Denial> for DeniedRule {
    fn from(denial: &Denial) -> Self {
        let value = bounded(&denial.value).into_owned();
        Self { rule: denial.rule.to_string(), value, location: denial.location.clone() }
    }
}

/// The document that `--json` prints where the command fails.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FailureDocument<'a> {
    /// The failure.
    pub(crate) error: &'a Failure,
}

impl Failure {
    /// Describes a failure with the general next step of its code.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let hint = code.hint().map(|hint| hint::text(&hint));
        let message = bounded(&message.into()).into_owned();
        Self { code, message, hint, retriable: code.is_retriable(), denied: None }
    }

    /// Describes arguments that make no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidUsage, message)
    }

    /// Returns the same failure with another hint, where there is one.
    pub(crate) fn hinting(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    /// Describes a command that the user interrupted.
    pub(crate) fn interrupted() -> Self {
        Self::new(ErrorCode::Interrupted, "interrupted")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let hint = error.hint().map(|hint| hint::text(&hint));
        let denied = error.denial().map(DeniedRule::from);
        Self { hint, denied, ..Self::new(error.code(), chain(&error)) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorCode::of_io(&error), error.to_string())
    }
}

/// Returns an error and all that caused it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
