//! Says what the source of a model tells of it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{lenient, path::RelativePath};

/// Holds what a source says of a model, which the policy and people ask for. A fact that the source does not tell is absent, in JSON
/// too. Nothing here is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct SourceFacts {
    /// The licence, as the source names it, such as `apache-2.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Says whether a user must accept terms before the source serves the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gated: Option<bool>,
    /// Says whether only some accounts see the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// Says whether the source has disabled the model, for every user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// The words by which the source sorts the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The results of the source's scanners, by the paths of the files in the model.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "scans")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, ScanStatus>"))]
    pub scans: BTreeMap<RelativePath, ScanStatus>,
}

/// Names what the scanners of a source say of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ScanStatus {
    /// No scanner has looked at the file.
    Unscanned,
    /// The file waits for a scanner.
    Queued,
    /// No scanner found a problem.
    Safe,
    /// A scanner failed on the file.
    Error,
    /// A scanner found something that a person may want to look at.
    Caution,
    /// A scanner suspects the file.
    Suspicious,
    /// A scanner found the file dangerous.
    Unsafe,
    /// The scanners say something that this release has no name for.
    #[serde(skip_deserializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

impl ScanStatus {
    /// Returns the name that policies, records and documents use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unscanned => "unscanned",
            Self::Queued => "queued",
            Self::Safe => "safe",
            Self::Error => "error",
            Self::Caution => "caution",
            Self::Suspicious => "suspicious",
            Self::Unsafe => "unsafe",
            Self::Unknown => "unknown",
        }
    }

    /// Lists every status that there is.
    pub const ALL: [Self; 8] = [
        Self::Unscanned,
        Self::Queued,
        Self::Safe,
        Self::Error,
        Self::Caution,
        Self::Suspicious,
        Self::Unsafe,
        Self::Unknown,
    ];

    /// Returns whether a person should look at the file. A status that this release has no name for is an issue.
    pub const fn is_issue(self) -> bool {
        !matches!(self, Self::Unscanned | Self::Queued | Self::Safe)
    }

    /// Returns the status of a name that a source writes.
    pub fn of(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(name));
        found.unwrap_or(Self::Unknown)
    }
}

/// Reads results, also those that this release has no name for.
fn scans<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<RelativePath, ScanStatus>, D::Error> {
    let named: BTreeMap<RelativePath, String> = lenient::entries(deserializer)?;
    Ok(named.into_iter().map(|(path, status)| (path, ScanStatus::of(&status))).collect())
}

impl fmt::Display for ScanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SourceFacts {
    /// Returns the facts without the texts that `is_secret` finds a secret in.
    #[must_use]
    pub fn without(mut self, is_secret: impl Fn(&str) -> bool) -> Self {
        self.license = self.license.filter(|license| !is_secret(license));
        self.tags.retain(|tag| !is_secret(tag));
        self
    }

    /// Returns the facts, with those of another answer of the same source where these lack one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            license: self.license.or(other.license),
            gated: self.gated.or(other.gated),
            private: self.private.or(other.private),
            disabled: self.disabled.or(other.disabled),
            tags: if self.tags.is_empty() { other.tags } else { self.tags },
            scans: if self.scans.is_empty() { other.scans } else { self.scans },
        }
    }

    /// Returns the files of which the scanners say something else than that they found no problem, or that they have not looked yet.
    pub fn scan_issues(&self) -> impl Iterator<Item = (&RelativePath, ScanStatus)> {
        self.scans.iter().map(|(path, status)| (path, *status)).filter(|(_, status)| status.is_issue())
    }

    /// Returns whether the source tells nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
