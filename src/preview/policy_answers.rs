//! Collects what the policy says of one model, without stopping at the first denial.

use provisioner_core::{Question, RuleVerdict, verdicts};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Holds what the policy says of one model so far.
#[derive(Clone)]
pub(super) struct PolicyAnswers<'a> {
    ctx: &'a Context,
    verdicts: Vec<RuleVerdict>,
    /// The first denial that would end an ensure.
    refusal: Option<Error>,
}

impl<'a> PolicyAnswers<'a> {
    /// Returns the answers of a policy that was not asked yet.
    pub(super) fn of(ctx: &'a Context) -> Self {
        Self { ctx, verdicts: Vec::new(), refusal: None }
    }

    /// Asks a question whose denial would end an ensure.
    pub(super) fn ask(&mut self, question: &Question<'_>) {
        self.note(question);
        if let Err(denied) = self.ctx.ask(question) {
            self.refusal.get_or_insert(denied);
        }
    }

    /// Asks a question whose denial need not end an ensure.
    pub(super) fn note(&mut self, question: &Question<'_>) {
        for verdict in verdicts(self.ctx.policy.as_ref(), question) {
            self.add(verdict);
        }
    }

    /// Returns the outcome of a step. `None`, and the denial is noted, where the policy denied the step.
    ///
    /// # Errors
    /// Any other error of the step.
    pub(super) fn unless_denied<T>(&mut self, outcome: Result<T>) -> Result<Option<T>> {
        let error = match outcome {
            Ok(done) => return Ok(Some(done)),
            Err(error) => error,
        };
        let Some(denial) = error.denial().cloned() else { return Err(error) };
        self.add(RuleVerdict::of_denial(denial));
        self.refusal.get_or_insert(error);
        Ok(None)
    }

    /// Returns whether a denial would end an ensure.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Returns the verdicts, in the order of the questions, and the first denial that would end an ensure.
    pub(super) fn into_parts(self) -> (Vec<RuleVerdict>, Option<Error>) {
        (self.verdicts, self.refusal)
    }

    /// Adds a verdict. Of several about one value, a denial counts.
    fn add(&mut self, verdict: RuleVerdict) {
        let is_same = |known: &&mut RuleVerdict| known.rule == verdict.rule && known.value == verdict.value;
        match self.verdicts.iter_mut().find(is_same) {
            Some(known) if known.is_allowed() => *known = verdict,
            Some(_) => {}
            None => self.verdicts.push(verdict),
        }
    }
}
