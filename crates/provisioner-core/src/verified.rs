//! Holds a model after the verdict.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    error::Result,
    facts::ModelFacts,
    judge::{self, Verifier},
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
        let (verification, facts) = judge::judge(&self, expectation, verifiers, now)?;
        Ok(VerifiedModel { staged: self, verification, facts })
    }
}

/// Holds a staged model that the verifiers did not reject. [`StagedModel::judge`] is the only way to make one.
#[derive(Clone, Debug)]
pub struct VerifiedModel {
    staged: StagedModel,
    verification: Verification,
    facts: Option<ModelFacts>,
}

impl VerifiedModel {
    /// Returns the model that was judged.
    pub fn staged(&self) -> &StagedModel {
        &self.staged
    }

    /// Returns what the verifiers found.
    pub fn verification(&self) -> &Verification {
        &self.verification
    }

    /// Returns what a verifier read of the model's own statements. `None` where no verifier looked.
    pub fn facts(&self) -> Option<&ModelFacts> {
        self.facts.as_ref()
    }
}
