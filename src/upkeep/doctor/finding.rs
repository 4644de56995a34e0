//! Describes what `doctor` returns.

use provisioner_core::{Hint, Repair};

/// Describes a problem that `doctor` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthFinding {
    /// The problem and its place, for a person.
    pub problem: String,
    /// The repair that `doctor` made; `None` where it made none.
    pub mended: Option<String>,
    /// The next step, where the operator can do something.
    pub hint: Option<Hint>,
    /// Says whether the problem does no harm and goes away without a repair.
    pub is_harmless: bool,
}

/// The hint of a problem that `doctor --fix` repairs.
pub(crate) const FIX: Hint = Hint::Repair(Repair::Mends);

impl HealthFinding {
    pub(crate) fn new(problem: String, hint: impl Into<Hint>) -> Self {
        Self { problem, mended: None, hint: Some(hint.into()), is_harmless: false }
    }

    /// Returns the same finding, with the outcome of its repair.
    pub(crate) fn after(self, mended: Result<Option<String>, String>) -> Self {
        match mended {
            Ok(Some(how)) => Self { mended: Some(how), hint: None, ..self },
            Ok(None) => self,
            Err(error) => Self { hint: Some(format!("it cannot be mended: {error}").into()), ..self },
        }
    }
}
