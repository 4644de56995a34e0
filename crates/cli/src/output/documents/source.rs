//! Defines how documents show what the source of a model tells of it.

use model_provisioner::SourceFacts;

use crate::output::escape::line;

/// Returns what a source tells, for people: a name and a text for each row.
pub(super) fn rows(source: &SourceFacts) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    rows.extend(source.license.as_deref().map(|license| ("licence", line(license))));
    let says = [(source.gated, "gated"), (source.private, "private"), (source.disabled, "disabled")];
    let says: Vec<_> =
        says.into_iter().filter(|(is_so, _)| *is_so == Some(true)).map(|(_, what)| what).collect();
    if !says.is_empty() {
        rows.push(("access", says.join(", ")));
    }
    rows.extend(
        source.scan_issues().map(|(path, status)| ("scan", format!("{status}: {}", line(path.as_str())))),
    );
    rows
}
