//! Holds a model after the verdict.

use std::sync::Arc;

use crate::{
    choice::Notice,
    clock::Timestamp,
    error::Result,
    facts::ModelFacts,
    judge::{self, Judgement, Verifier},
    signature::RecordedSignature,
    staged::StagedModel,
    verification::{Expectation, Verification},
};

impl StagedModel {
    /// Judges the model: the digest verifier first, then the other verifiers in their order. `now` is the time of the
    /// verdict.
    ///
    /// # Errors
    /// [`Error::Rejected`](crate::Error::Rejected) with the reason of the first verifier that fails;
    /// [`Error::Unread`](crate::Error::Unread) where a verifier cannot read the model.
    pub fn judge(
        self,
        expectation: &Expectation,
        verifiers: &[Arc<dyn Verifier>],
        now: Timestamp,
    ) -> Result<VerifiedModel> {
        let judgement = judge::judge(&self, expectation, verifiers, now)?;
        Ok(VerifiedModel { staged: self, judgement })
    }
}

/// Holds a staged model that the verifiers did not reject. [`StagedModel::judge`] is the only way to make one.
#[derive(Clone, Debug)]
pub struct VerifiedModel {
    staged: StagedModel,
    judgement: Judgement,
}

impl VerifiedModel {
    /// Returns the model that was judged.
    pub fn staged(&self) -> &StagedModel {
        &self.staged
    }

    /// Returns what the verifiers found.
    pub fn verification(&self) -> &Verification {
        &self.judgement.verification
    }

    /// Returns what a verifier read of the model's own statements. `None` where no verifier looked.
    pub fn facts(&self) -> Option<&ModelFacts> {
        self.judgement.facts.as_ref()
    }

    /// Returns the signatures that a verifier found to be by trusted signers.
    pub fn signatures(&self) -> &[RecordedSignature] {
        &self.judgement.signatures
    }

    /// Returns what a person should know of the model beside what the choice of its files tells.
    pub fn notices(&self) -> &[Notice] {
        &self.judgement.notices
    }
}
