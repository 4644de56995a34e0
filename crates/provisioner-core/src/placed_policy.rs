//! Says where the rules of a policy stand.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::{
    denial::Denial,
    policy::{Policy, SignatureRule},
    policy_document::PolicyDocument,
    policy_engine::{Decision, PolicyEngine, Question},
    reference::ModelRef,
};

/// Names the place of a policy's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyPlace {
    /// The rules are keys of a file, below a key of it where `below` is not empty.
    File {
        /// The path of the file.
        path: PathBuf,
        /// The key below which the rules are, such as `policy`.
        below: String,
    },
    /// The rules are a setting of the program, such as an option.
    Setting(String),
}

impl PolicyPlace {
    /// Returns the place of a file whose keys are the rules.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into(), below: String::new() }
    }

    /// Returns the place of a file that has the rules below a key.
    pub fn below(path: impl Into<PathBuf>, key: &str) -> Self {
        Self::File { path: path.into(), below: key.to_owned() }
    }

    /// Returns the place of one rule, as a person reads it: the file and the key.
    pub fn of(&self, rule: &str) -> String {
        match self {
            Self::File { path, below } if below.is_empty() => format!("{}: {rule}", path.display()),
            Self::File { path, below } => format!("{}: {below}.{rule}", path.display()),
            Self::Setting(setting) => setting.clone(),
        }
    }
}

/// A [`PolicyEngine`] that decides as another one, and says in each denial where the rule stands.
#[derive(Debug)]
pub struct PlacedPolicy<P> {
    policy: P,
    /// `None` for a policy that the program itself built.
    place: Option<PolicyPlace>,
    /// The rules that stand nowhere: the policy has a value for them without having been told.
    untold: Vec<&'static str>,
    document: Option<PolicyDocument>,
}

impl From<Policy> for PlacedPolicy<Policy> {
    fn from(policy: Policy) -> Self {
        Self { policy, place: None, untold: Vec::new(), document: None }
    }
}

impl<P: PolicyEngine> PlacedPolicy<P> {
    /// Places the rules of a policy.
    pub fn new(policy: P, place: PolicyPlace) -> Self {
        Self { policy, place: Some(place), untold: Vec::new(), document: None }
    }

    /// Returns the same policy, which shows no rule of this name: its file does not have the rule.
    #[must_use]
    pub fn untold(mut self, rule: &'static str) -> Self {
        self.untold.push(rule);
        self
    }

    /// Returns the same policy, which names the file that it stands in.
    #[must_use]
    pub fn in_document(self, document: PolicyDocument) -> Self {
        Self { document: Some(document), ..self }
    }

    fn place(&self, denial: Denial) -> Denial {
        match &self.place {
            Some(place) if denial.location.is_none() => {
                let location = place.of(&denial.rule);
                denial.at(location)
            }
            _ => denial,
        }
    }
}

impl<P: PolicyEngine> PolicyEngine for PlacedPolicy<P> {
    fn decide(&self, question: &Question<'_>) -> Decision {
        match self.policy.decide(question) {
            Decision::Denied(denial) => self.place(*denial).into(),
            Decision::Allowed => Decision::Allowed,
        }
    }

    fn denials(&self, question: &Question<'_>) -> Vec<Denial> {
        self.policy.denials(question).into_iter().map(|denial| self.place(denial)).collect()
    }

    fn rules(&self) -> Map<String, Value> {
        let mut rules = self.policy.rules();
        rules.retain(|rule, _| !self.untold.iter().any(|untold| untold == rule));
        rules
    }

    fn place_of(&self, rule: &str) -> Option<String> {
        let own = self.policy.place_of(rule);
        let place = self.place.as_ref().filter(|_| self.rules().contains_key(rule));
        own.or_else(|| Some(place?.of(rule)))
    }

    fn names_host(&self, host: &str) -> Option<bool> {
        self.policy.names_host(host)
    }

    fn signature_rules(&self, reference: &ModelRef) -> Vec<SignatureRule> {
        self.policy.signature_rules(reference)
    }

    fn documents(&self) -> Vec<PolicyDocument> {
        self.document.iter().cloned().chain(self.policy.documents()).collect()
    }
}
