//! Reads the policy file of an operator. A file that cannot be used denies everything.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use provisioner_core::{
    Decision, Denial, Hint, Mirror, OperatorPolicy, PlacedPolicy, Policy, PolicyDocument, PolicyEngine,
    PolicyPlace, Question,
};

use crate::{
    error::{Error, Result},
    yaml::{self, Mistake, Unreadable},
};

/// Holds an operator's policy, as its file has it: a [`PolicyEngine`] beside the other policies of a provisioner.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("policy.yaml");
/// use model_provisioner::{PolicyEngine, PolicyFile};
///
/// std::fs::write(&path, "version: 1\nschemes: [local]\nmax_bytes: 200G\n").unwrap();
/// assert_eq!(PolicyFile::read(&path).rules()["max_bytes"], 200_000_000_000u64);
///
/// std::fs::write(&path, "version: 1\nsheme: [local]\n").unwrap();
/// let error = PolicyFile::read(&path).fault().unwrap().to_string();
/// assert!(error.ends_with("line 2: unknown field `sheme`"), "{error}");
/// ```
#[derive(Clone, Debug)]
pub struct PolicyFile {
    path: PathBuf,
    engine: Arc<dyn PolicyEngine>,
    mirrors: Vec<Mirror>,
    fault: Option<Error>,
}

impl PolicyFile {
    /// Reads a policy file. One that cannot be used denies everything, and has a [`fault`](Self::fault). It may block.
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = std::path::absolute(path.as_ref()).unwrap_or_else(|_| path.as_ref().to_owned());
        match read(&path) {
            Ok((policy, text)) => {
                let mirrors = policy.mirrors.clone();
                let document = PolicyDocument::new(&path, &text);
                let engine = Arc::new(placed(policy, &path).in_document(document));
                Self { path, engine, mirrors, fault: None }
            }
            Err(fault) => {
                let engine = Arc::new(BrokenPolicy { path: path.clone(), fault: fault.clone() });
                Self { path, engine, mirrors: Vec::new(), fault: Some(fault) }
            }
        }
    }

    /// Returns the absolute path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the mirrors that the file names, in their order.
    pub fn mirrors(&self) -> &[Mirror] {
        &self.mirrors
    }

    /// Returns why the file denies everything. `None` where it is sound.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }
}

impl PolicyEngine for PolicyFile {
    fn decide(&self, question: &Question<'_>) -> Decision {
        self.engine.decide(question)
    }

    fn denials(&self, question: &Question<'_>) -> Vec<Denial> {
        self.engine.denials(question)
    }

    fn rules(&self) -> serde_json::Map<String, serde_json::Value> {
        self.engine.rules()
    }

    fn place_of(&self, rule: &str) -> Option<String> {
        self.engine.place_of(rule)
    }

    fn names_host(&self, host: &str) -> Option<bool> {
        self.engine.names_host(host)
    }

    fn signature_rules(
        &self,
        reference: &provisioner_core::ModelRef,
    ) -> Vec<provisioner_core::SignatureRule> {
        self.engine.signature_rules(reference)
    }

    fn documents(&self) -> Vec<PolicyDocument> {
        self.engine.documents()
    }
}

/// Reads the policy of a file, and returns it with its text.
fn read(path: &Path) -> Result<(OperatorPolicy, String)> {
    let invalid = |Mistake { reason, hint }| Error::Policy { path: path.to_owned(), reason, hint };
    let text = yaml::read_text(path).map_err(|error| match error {
        Unreadable::Disk(error) => {
            invalid(Mistake { reason: format!("it cannot be read: {error}"), hint: None })
        }
        Unreadable::Mistake(mistake) => invalid(mistake),
    })?;
    let policy = yaml::parse(&text).map_err(invalid)?;
    Ok((policy, text))
}

/// Returns the rules of a policy file, with their places.
fn placed(file: OperatorPolicy, path: &Path) -> PlacedPolicy<Policy> {
    let tells_network = file.network.is_some();
    let policy = with_key_paths(file.into(), path.parent().unwrap_or(path));
    let placed = PlacedPolicy::new(policy, PolicyPlace::file(path));
    if tells_network { placed } else { placed.untold("network") }
}

/// Returns a policy whose relative paths of keys begin at a folder.
pub(crate) fn with_key_paths(mut policy: Policy, folder: &Path) -> Policy {
    for key in policy.signatures.iter_mut().flatten().flat_map(|rule| &mut rule.keys) {
        *key = folder.join(&*key);
    }
    policy
}

/// Denies everything, for the operator's policy cannot be used.
#[derive(Debug)]
struct BrokenPolicy {
    path: PathBuf,
    fault: Error,
}

impl PolicyEngine for BrokenPolicy {
    fn decide(&self, _: &Question<'_>) -> Decision {
        let path = self.path.display().to_string();
        let reason = match &self.fault {
            Error::Policy { reason, .. } => reason.clone(),
            other => other.to_string(),
        };
        let what = format!("anything, for the operator's policy is broken: {reason}");
        let remedy = self.fault.hint().unwrap_or_else(|| Hint::text("mend the policy, or name another one"));
        Denial::new("policy", path.clone(), what).at(path).with_remedy(remedy).into()
    }

    fn rules(&self) -> serde_json::Map<String, serde_json::Value> {
        [("policy".to_owned(), "it is broken, and denies everything".into())].into_iter().collect()
    }

    fn place_of(&self, rule: &str) -> Option<String> {
        (rule == "policy").then(|| self.path.display().to_string())
    }

    fn names_host(&self, _: &str) -> Option<bool> {
        Some(false)
    }
}
