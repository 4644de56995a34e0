//! Makes words and tables for people.

use model_provisioner::{Outcome, Verification};

/// Returns rows of a name and a value, with the values in one column.
pub(crate) fn card(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows: Vec<_> = rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    rows.join("\n")
}

/// Returns a count and its noun, in the plural where it is not one.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// Returns the verification in a word.
pub(crate) fn verification_word(verification: &Verification) -> &'static str {
    match (verification.outcome, verification.basis) {
        (Outcome::Fail, _) => "FAILED",
        (_, None) => "unverified",
        (Outcome::Pass, Some(basis)) => basis.as_str(),
        (Outcome::Warn, Some(_)) => "warning",
    }
}
