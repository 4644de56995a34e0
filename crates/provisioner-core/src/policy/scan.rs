//! Decides which files come along, by what the scanners of their source say.

use serde::{Deserialize, Serialize};

use crate::{denial::Denial, source_facts::ScanStatus};

/// Names the results of a source's scanners that deny a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScanRule {
    /// The results that deny a file, such as `unsafe`. A result that this release does not know denies a file too, unless the list is
    /// empty.
    pub deny: Vec<ScanStatus>,
}

/// Returns the denial of a file that the scanners of its source judged.
pub(super) fn refuse(rule: Option<&ScanRule>, path: &str, status: ScanStatus) -> Option<Denial> {
    let deny = &rule?.deny;
    let is_denied = deny.contains(&status) || (status == ScanStatus::Unknown && !deny.is_empty());
    is_denied.then(|| {
        let what = format!("`{path}`, which the scanners of its source call {status}");
        Denial::new("scan", status.as_str(), what)
            .with_remedy("take another revision or another repository; the source's page of the file says what the scanners found")
    })
}
