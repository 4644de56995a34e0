//! What `doctor` returns.

use provisioner_core::{Hint, Repair};

/// A problem that `doctor` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthFinding {
    /// The problem, and where it is.
    pub problem: String,
    /// What `doctor` did about it; `None` where it did nothing.
    pub mended: Option<String>,
    /// What to do about it.
    pub hint: Option<Hint>,
    /// Whether it does no harm, and goes by itself.
    pub is_harmless: bool,
}

/// The hint of a problem that a repair mends.
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
