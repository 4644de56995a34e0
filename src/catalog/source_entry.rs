//! Says in a line of the provenance log what the source told of a model.

use std::collections::BTreeMap;

use provisioner_core::{RelativePath, ScanStatus, SourceFacts};
use serde::Serialize;

/// Holds what the source told of a model, as the log keeps it: its licence, its gate, and the files that a person should look at.
#[derive(Debug, Serialize)]
pub(crate) struct SourceEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gated: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    scan_issues: BTreeMap<&'a RelativePath, ScanStatus>,
}

impl<'a> SourceEntry<'a> {
    /// Returns the entry; `None` where the source told nothing of this.
    pub(crate) fn of(facts: &'a SourceFacts) -> Option<Self> {
        let entry = Self {
            license: facts.license.as_deref(),
            gated: facts.gated,
            scan_issues: facts.scan_issues().collect(),
        };
        let is_empty = entry.license.is_none() && entry.gated.is_none() && entry.scan_issues.is_empty();
        (!is_empty).then_some(entry)
    }
}
