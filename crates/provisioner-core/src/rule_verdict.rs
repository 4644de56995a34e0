//! Says what each rule of a policy decides of one value.

use std::borrow::Cow;

use crate::{
    denial::Denial,
    policy_engine::{PolicyEngine, Question},
};

/// Says what one rule of a policy decides of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleVerdict {
    /// The name of the rule, as a policy file writes it.
    pub rule: Cow<'static, str>,
    /// The value that the rule decides about, such as the name of a format.
    pub value: String,
    /// Says why the rule denies the value. `None` where no policy denies it.
    pub denial: Option<Box<Denial>>,
    /// Says where the rule stands, as a file and a key. `None` where no policy has it.
    pub location: Option<String>,
}

impl RuleVerdict {
    /// Returns the verdict that a denial is.
    pub fn of_denial(denial: Denial) -> Self {
        let (rule, value, location) = (denial.rule.clone(), denial.value.clone(), denial.location.clone());
        Self { rule, value, location, denial: Some(Box::new(denial)) }
    }

    /// Returns whether every policy allows the value.
    pub fn is_allowed(&self) -> bool {
        self.denial.is_none()
    }
}

/// Returns what the rules of a policy decide of a question: one verdict for each rule that the question concerns, and one for each
/// other rule that denies it.
pub fn verdicts(policy: &dyn PolicyEngine, question: &Question<'_>) -> Vec<RuleVerdict> {
    let mut denials = policy.denials(question);
    let mut found = Vec::new();
    for (rule, value) in question.subjects() {
        let denial = denials.iter().position(|denial| denial.rule == rule).map(|at| denials.remove(at));
        let stands = || policy.place_of(rule);
        let location = denial.as_ref().map_or_else(stands, |denial| denial.location.clone());
        // Another policy may deny the same value by the same rule. The first one counts.
        denials.retain(|denial| denial.rule != rule);
        found.push(RuleVerdict { rule: rule.into(), value, denial: denial.map(Box::new), location });
    }
    found.extend(denials.into_iter().map(RuleVerdict::of_denial));
    found
}
