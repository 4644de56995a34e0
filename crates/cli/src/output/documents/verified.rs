//! Defines the document of a verification.

use model_provisioner::{DamagedRecord, ErrorCode, HandoffFault, Outcome, VerifyReport};
use serde::Serialize;

use super::provenance::checked::HandoffNotThere;
use crate::output::{failure::Failure, hint};

/// Says what verifying one model found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Verified {
    /// The id, or the name of a record that cannot be read.
    id: String,
    /// Whether the bytes are right.
    outcome: Outcome,
    /// Why the outcome is what it is.
    reason: String,
    /// The next step, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The failure, where the command could not read the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// The handoffs of the model whose line is not in the provenance log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    handoffs: Vec<HandoffNotThere>,
    /// The cause of a failure, for the exit status.
    #[serde(skip)]
    pub(crate) code: Option<ErrorCode>,
}

impl From<VerifyReport> for Verified {
    fn from(report: VerifyReport) -> Self {
        let VerifyReport { id, outcome, reason, code, hint, .. } = report;
        let hint = hint.map(|hint| hint::text(&hint));
        Self { id, outcome, reason, hint, error: None, handoffs: Vec::new(), code }
    }
}

impl Verified {
    /// Reports a model that the command could not read.
    pub(crate) fn failed(id: String, failure: Failure) -> Self {
        let (reason, code) = (failure.message.clone(), Some(failure.code));
        Self {
            id,
            outcome: Outcome::Fail,
            reason,
            hint: None,
            error: Some(failure),
            handoffs: Vec::new(),
            code,
        }
    }

    /// Reports a record that cannot be read: the name of its file stands for the model, which only the record knows.
    pub(crate) fn damaged(record: DamagedRecord) -> Self {
        let code = if record.is_newer { ErrorCode::NewerRecord } else { ErrorCode::DamagedRecord };
        Self::failed(record.location.display().to_string(), Failure::new(code, record.reason))
    }

    /// Adds the handoffs of the model whose line is not in the provenance log. The model's own verdict stays.
    pub(crate) fn resting_on(mut self, faults: &[HandoffFault]) -> Self {
        let own = faults.iter().filter(|fault| fault.id == self.id);
        self.handoffs = own.map(HandoffNotThere::from).collect();
        if !self.handoffs.is_empty() {
            self.code.get_or_insert(ErrorCode::ProvenanceWrong);
        }
        self
    }

    /// Returns the next step.
    pub(crate) fn hint(&self) -> Option<&str> {
        let of_failure = self.error.as_ref().and_then(|failure| failure.hint.as_deref());
        self.hint.as_deref().or(of_failure)
    }

    /// Returns the report in a line, for people.
    pub(crate) fn line(&self) -> String {
        let outcome = match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        let line = match &self.error {
            None => format!("{outcome}  {}: {}", self.id, self.reason),
            Some(failure) if failure.message.contains(&self.id) => format!("{outcome}  {}", failure.message),
            Some(failure) => format!("{outcome}  {}: {}", self.id, failure.message),
        };
        let handoffs = self.handoffs.iter().map(|handoff| format!("\nFAIL  {}", handoff.text()));
        handoffs.fold(line, |text, handoff| text + &handoff)
    }
}
