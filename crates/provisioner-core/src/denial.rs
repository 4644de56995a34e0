//! Says why a policy denies a step.

use std::{borrow::Cow, fmt};

use crate::hint::Hint;

/// Says which rule of a policy denies which value, where the rule stands, and what would allow the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// The kind of the denial, which chooses the error code.
    pub kind: DenialKind,
    /// The name of the rule, as a policy file writes it: `hosts`, `repos`, …
    pub rule: Cow<'static, str>,
    /// The value that the rule refuses, such as the name of a host.
    pub value: String,
    /// The refused thing, as the object of a sentence: `the host ‹name›`.
    pub what: String,
    /// Says where the rule stands, as a file and a key. `None` for a policy that the program itself built.
    pub location: Option<String>,
    /// Says what a person can change so that the policy allows the step.
    pub remedy: Option<Hint>,
}

/// Names a kind of denial. Each has an error code of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialKind {
    /// A rule refuses the step.
    #[default]
    Rule,
    /// The user took the network away for now.
    Offline,
    /// The format can run code when an engine loads it, and no rule allows the format.
    RunsCode,
}

impl Denial {
    /// Makes the denial of a value by a rule. `what` names the refused thing as the object of a sentence.
    pub fn new(
        rule: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        let (rule, value, what) = (rule.into(), value.into(), what.into());
        Self { kind: DenialKind::Rule, rule, value, what, location: None, remedy: None }
    }

    /// Sets the kind of the denial.
    #[must_use]
    pub fn of_kind(self, kind: DenialKind) -> Self {
        Self { kind, ..self }
    }

    /// Sets what would allow the step.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<Hint>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Returns the denial with each of its texts replaced, so that a caller can take a secret out of it.
    #[must_use]
    pub fn map_text(self, replace: &dyn Fn(String) -> String) -> Self {
        let remedy = self.remedy.map(|hint| hint.map_text(replace));
        Self { value: replace(self.value), what: replace(self.what), remedy, ..self }
    }

    /// Sets where the rule stands.
    #[must_use]
    pub fn at(self, location: impl Into<String>) -> Self {
        Self { location: Some(location.into()), ..self }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy does not allow {}", self.what)?;
        match &self.location {
            Some(location) => write!(f, " (`{location}`)"),
            None => Ok(()),
        }
    }
}
