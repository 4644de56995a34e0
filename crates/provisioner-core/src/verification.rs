//! What was demanded of a model, and what was found.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, digest::Digest};

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The bytes are those that the basis says.
    Pass,
    /// Nothing speaks against the model, and something that would speak for it is missing.
    Warn,
    /// The model must not be used.
    Fail,
}

/// How a digest was known, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// It was computed here when the model was first hashed.
    FirstUse,
    /// The hub or registry said so.
    Source,
    /// A signature covers it.
    Signed,
    /// The caller, a config or a lock file said so.
    Pinned,
}

impl Basis {
    /// Whether strict verification is content with it.
    pub const fn is_strict(self) -> bool {
        !matches!(self, Self::FirstUse)
    }

    /// The name that files use, such as `first-use`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstUse => "first-use",
            Self::Source => "source",
            Self::Signed => "signed",
            Self::Pinned => "pinned",
        }
    }
}

/// The result of judging a model, as records and the handoff keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verification {
    /// How it went.
    pub outcome: Outcome,
    /// How the digest was known; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// Why, for a person.
    pub reason: String,
    /// When the bytes were last hashed and compared; absent where they never were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub verified_at: Option<Timestamp>,
}

impl Verification {
    /// Whether it is a pass on a basis that strict verification is content with.
    pub fn is_strict_pass(&self) -> bool {
        self.outcome == Outcome::Pass && self.basis.is_some_and(Basis::is_strict)
    }
}

/// The digest that a model must have, how that digest is known, and whether the model may pass without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    digest: Option<(Digest, Basis)>,
    strict: bool,
}

impl Expectation {
    /// Nothing in particular: a model without a digest passes with a warning.
    pub fn none() -> Self {
        Self::default()
    }

    /// The digest that the caller demands.
    pub fn pinned(digest: Digest) -> Self {
        Self::known(digest, Basis::Pinned)
    }

    /// A digest that is known in another way.
    pub fn known(digest: Digest, basis: Basis) -> Self {
        Self { digest: Some((digest, basis)), strict: false }
    }

    /// Demands a pass on a basis stronger than first use.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// This expectation, with another digest where it has none.
    #[must_use]
    pub fn or(self, digest: Option<(Digest, Basis)>) -> Self {
        Self { digest: self.digest.or(digest), ..self }
    }

    /// The digest, and how it is known.
    pub fn digest(&self) -> Option<(&Digest, Basis)> {
        self.digest.as_ref().map(|(digest, basis)| (digest, *basis))
    }

    /// Whether it is strict.
    pub const fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether judging by it needs the model's bytes to be hashed.
    pub fn needs_hashes(&self) -> bool {
        self.strict || self.digest.is_some()
    }
}
