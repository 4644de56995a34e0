//! Shows the keys by which the policy's `signatures` know who signed a model.

use std::path::{Path, PathBuf};

use model_provisioner::{PolicyEngine, SignatureMode, SignatureRule};
use serde::Serialize;

use crate::output::escape::line;

/// The rule of a policy that names keys.
const RULE: &str = "signatures";

/// Describes a key that a policy names.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyInForce {
    /// The file of the key.
    pub(super) file: PathBuf,
    /// Where the policy names it: the file of the policy and the key in that file.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    /// The patterns of the models for which the key counts.
    repos: Vec<String>,
    /// What happens to such a model that no key of the rule signed: `off`, `warn` or `enforce`.
    mode: SignatureMode,
    /// The curve of the key, such as `P-384`.
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<String>,
    /// The fingerprint of the key: the SHA-256 of its PEM with lines of 64 characters, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// Why the key cannot be used; absent where it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
}

impl KeyInForce {
    /// Returns the keys that a policy names, in their order. It reads their files, and may block.
    pub(super) fn of(policy: &dyn PolicyEngine) -> Vec<Self> {
        let rules = policy.rules().remove(RULE);
        let rules: Vec<SignatureRule> =
            rules.and_then(|rules| serde_json::from_value(rules).ok()).unwrap_or_default();
        let place = policy.place_of(RULE);
        let named = rules.iter().enumerate().flat_map(|(at, rule)| {
            let key = move |(number, file)| (format!("[{at}].keys[{number}]"), rule, file);
            rule.keys.iter().enumerate().map(key)
        });
        let found = named.map(|(below, rule, file)| {
            Self::read(file, rule).at(place.as_ref().map(|place| format!("{place}{below}")))
        });
        found.collect()
    }

    fn read(file: &Path, rule: &SignatureRule) -> Self {
        let (read, fault) = match properties(file) {
            Ok(read) => (Some(read), None),
            Err(fault) => (None, Some(fault)),
        };
        let (curve, fingerprint) = read.unzip();
        let (repos, mode) = (rule.repos.clone(), rule.mode);
        Self { file: file.to_owned(), location: None, repos, mode, curve, fingerprint, fault }
    }

    fn at(self, location: Option<String>) -> Self {
        Self { location, ..self }
    }

    /// Returns whether models depend on the key.
    pub(super) fn counts(&self) -> bool {
        self.mode != SignatureMode::Off
    }

    /// Returns the key for people.
    pub(super) fn text(&self) -> String {
        let what = match (&self.fault, &self.curve, &self.fingerprint) {
            (None, Some(curve), Some(fingerprint)) => format!("{curve}, {fingerprint}"),
            _ => "not usable".to_owned(),
        };
        let repos: Vec<_> = self.repos.iter().map(|repos| line(repos)).collect();
        let place = self.location.as_ref().map(|place| format!("  ({})", line(place))).unwrap_or_default();
        let mode = match self.mode {
            SignatureMode::Off => "off",
            SignatureMode::Warn => "warn",
            SignatureMode::Enforce => "enforce",
        };
        format!("{}: {what}; {mode} for {}{place}", line(&self.file.display().to_string()), repos.join(", "))
    }
}

/// Returns the curve and the fingerprint of a key.
#[cfg(feature = "signing")]
fn properties(file: &Path) -> Result<(String, String), String> {
    let key = model_provisioner::signing::public_key(file).map_err(|error| error.to_string())?;
    Ok((key.curve().to_string(), key.fingerprint()))
}

#[cfg(not(feature = "signing"))]
fn properties(_: &Path) -> Result<(String, String), String> {
    Err("this build verifies no signatures: it was made without the feature `signing`".to_owned())
}
