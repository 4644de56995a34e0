//! Says what a caller demands of a model, and what the verifiers found.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, digest::Digest, signature::SignatureDemand};

/// Says how a verdict went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The verifiers found what the basis says.
    Pass,
    /// The verifiers found nothing against the model, and miss something that would speak for it.
    Warn,
    /// The verifiers found a fault: no engine may use the model.
    Fail,
}

/// Says how a digest is known, from the weakest way to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// This machine computed the digest when it first hashed the model.
    FirstUse,
    /// The source, such as the hub, stated the digest.
    Source,
    /// A signature covers the digest.
    Signed,
    /// The caller or a config demanded the digest.
    Pinned,
}

impl Basis {
    /// Returns whether strict verification accepts this basis: every one but first use.
    pub const fn is_strict(self) -> bool {
        !matches!(self, Self::FirstUse)
    }

    /// Returns the name that files use, such as `first-use`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstUse => "first-use",
            Self::Source => "source",
            Self::Signed => "signed",
            Self::Pinned => "pinned",
        }
    }
}

/// Keeps the result of a judgement, as records and the handoff have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verification {
    /// How the verdict went.
    pub outcome: Outcome,
    /// How the digest is known. It is absent where there is no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The reason for the verdict, as a text for a person.
    pub reason: String,
    /// When a process last hashed the bytes and compared the digest. It is absent where no process has done so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub verified_at: Option<Timestamp>,
}

impl Verification {
    /// Returns whether the verdict is a pass, on a basis that strict verification accepts.
    pub fn is_strict_pass(&self) -> bool {
        self.outcome == Outcome::Pass && self.basis.is_some_and(Basis::is_strict)
    }
}

/// Says which digest a model must have, how that digest is known, and whether the model may pass without one.
///
/// ```
/// use provisioner_core::{Basis, Expectation};
///
/// let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse()?;
/// let expectation = Expectation::pinned(digest).strict(true);
/// assert!(matches!(expectation.digest(), Some((_, Basis::Pinned))));
/// assert!(expectation.needs_hashes() && !Expectation::none().needs_hashes());
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    digest: Option<(Digest, Basis)>,
    strict: bool,
    signatures: Vec<SignatureDemand>,
}

impl Expectation {
    /// Returns the expectation that demands nothing: a model without a digest passes with a warning.
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the expectation of a digest that the caller demands.
    pub fn pinned(digest: Digest) -> Self {
        Self::known(digest, Basis::Pinned)
    }

    /// Returns the expectation of a digest that is known in another way.
    pub fn known(digest: Digest, basis: Basis) -> Self {
        Self { digest: Some((digest, basis)), ..Self::default() }
    }

    /// Sets whether the model must pass on a basis stronger than first use.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Demands a signature besides. Each demand that was made must be met.
    #[must_use]
    pub fn signed(mut self, demand: SignatureDemand) -> Self {
        if !self.signatures.contains(&demand) {
            self.signatures.push(demand);
        }
        self
    }

    /// Returns this expectation, with another digest where it has none.
    #[must_use]
    pub fn or(self, digest: Option<(Digest, Basis)>) -> Self {
        Self { digest: self.digest.or(digest), ..self }
    }

    /// Returns the expected digest, and how it is known.
    pub fn digest(&self) -> Option<(&Digest, Basis)> {
        self.digest.as_ref().map(|(digest, basis)| (digest, *basis))
    }

    /// Returns whether the model must pass on a basis stronger than first use.
    pub const fn is_strict(&self) -> bool {
        self.strict
    }

    /// Returns the signatures that the model must have.
    pub fn signatures(&self) -> &[SignatureDemand] {
        &self.signatures
    }

    /// Returns whether a verifier needs the digest of the model's bytes to judge by this expectation.
    pub fn needs_hashes(&self) -> bool {
        self.strict || self.digest.is_some() || !self.signatures.is_empty()
    }
}
