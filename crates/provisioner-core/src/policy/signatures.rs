//! Decides which signatures a model needs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    denial::Denial,
    policy::repos::{matches, pattern_of},
    reference::ModelRef,
    signature::SignatureMode,
};

/// Says who must have signed the models of some repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SignatureRule {
    /// The repositories, as patterns of ids. The first rule that names a model counts for it.
    pub repos: Vec<String>,
    /// The files of the public keys, one of which must have signed. A relative path begins at the policy's folder.
    #[serde(default)]
    pub keys: Vec<PathBuf>,
    /// Says what happens to a model that none of the keys signed.
    #[serde(default)]
    pub mode: SignatureMode,
}

impl SignatureRule {
    /// Returns the rule that counts for a reference: the first that names it.
    pub fn of<'a>(rules: &'a [Self], reference: &ModelRef) -> Option<&'a Self> {
        rules.iter().find(|rule| rule.repos.iter().any(|pattern| matches(pattern, reference)))
    }
}

/// Returns the denial of a model that was signed by these keys.
pub(super) fn refuse(
    rules: Option<&[SignatureRule]>,
    reference: &ModelRef,
    signers: &[PathBuf],
) -> Option<Denial> {
    let rule = SignatureRule::of(rules?, reference).filter(|rule| rule.mode == SignatureMode::Enforce)?;
    if rule.keys.iter().any(|key| signers.contains(key)) {
        return None;
    }
    let repo = pattern_of(reference);
    let denial =
        Denial::new("signatures", repo, format!("`{reference}`, which no key of its `signatures` signed"));
    Some(denial.with_remedy("take a revision that one of these keys signed, or let the publisher sign it"))
}
