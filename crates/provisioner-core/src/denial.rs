//! Why a policy denies something.

use std::{borrow::Cow, fmt};

/// Says which rule of a policy denies what, where the rule stands, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// What kind of denial.
    pub kind: DenialKind,
    /// The name of the rule, as a policy file writes it: `hosts`, `repos`, …
    pub rule: Cow<'static, str>,
    /// The value that the rule refuses, such as the name of a host.
    pub value: String,
    /// What is refused, as the object of a sentence: `the host ‹name›`.
    pub what: String,
    /// Where the rule stands, as a file and a key; `None` for a policy that the program itself built.
    pub location: Option<String>,
    /// What would allow it.
    pub remedy: Option<String>,
}

/// Names a kind of denial. Each has an error code of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialKind {
    /// A rule refuses it.
    #[default]
    Rule,
    /// The user took the network away for now.
    Offline,
    /// The format can run code when an engine loads it, and no rule allows the format.
    RunsCode,
}

impl Denial {
    /// Makes the denial of a value by a rule. `what` names the refused thing in a sentence.
    pub fn new(
        rule: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        let (rule, value, what) = (rule.into(), value.into(), what.into());
        Self { kind: DenialKind::Rule, rule, value, what, location: None, remedy: None }
    }

    /// Says what kind of denial it is.
    #[must_use]
    pub fn of_kind(self, kind: DenialKind) -> Self {
        Self { kind, ..self }
    }

    /// Says what would allow it.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Says where the rule stands.
    #[must_use]
    pub fn at(self, location: impl Into<String>) -> Self {
        Self { location: Some(location.into()), ..self }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy does not allow {}", self.what)
    }
}
