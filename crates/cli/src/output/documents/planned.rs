//! Defines the document of what ensuring a model would fetch.

use std::{cmp::Reverse, fmt::Write as _, path::PathBuf};

use model_provisioner::{
    Digest, EnsurePlan, LeftOut, LeftOutReason, Role, RuleVerdict, Signer, SourceFacts, readable_size,
};
use serde::Serialize;

use super::{notice::NoticeDocument, source};
use crate::output::{escape::line, failure::Failure};

/// How many of the files that stay out the text names, the largest first.
const SHOWN_LEFT_OUT: usize = 20;

/// Says what ensuring a model would fetch.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Planned {
    /// The id.
    id: String,
    /// The commit, where the source has revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// The files.
    files: Vec<PlannedFile>,
    /// The files that the source lists and that do not belong to the model.
    left_out: Vec<LeftOut>,
    /// What a person should know of the choice of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<NoticeDocument>,
    /// The signatures beside the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<PlannedSignature>,
    /// What the source tells of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceFacts>,
    /// What each rule of the policy decides.
    policy: Vec<PlannedVerdict>,
    /// The failure with which the policy would end an `ensure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Failure>,
    /// How many bytes the command would fetch.
    download_bytes: u64,
    /// How much more space the store would take, in bytes.
    space_needed_bytes: u64,
}

/// Says where one file would come from.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlannedFile {
    /// The place in the model.
    path: String,
    /// What the file is to an engine: `weights`, `tokenizer`, `configuration`, `projector`, `draft`, `adapter`, `imatrix`, `code` or
    /// `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// The size, in bytes.
    size: u64,
    /// The digest that the source states.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// Where the bytes would come from: `present`, `adopt`, `partial` or `fetch`.
    state: &'static str,
    /// The file of another tool that the store would take them from.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<PathBuf>,
}

/// Describes a signature beside the model.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlannedSignature {
    /// The place in the model, or on this machine.
    file: String,
    /// The signer, where the command was told whom to trust, and the signature holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<Signer>,
}

/// Says what one rule of the policy decides of one value.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlannedVerdict {
    /// The rule, as a policy file writes it.
    rule: String,
    /// The value.
    value: String,
    /// Whether the policy allows the value.
    allowed: bool,
    /// Where the rule stands: the file and the key. Absent where no policy has it.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

impl From<EnsurePlan> for Planned {
    fn from(plan: EnsurePlan) -> Self {
        let error = plan.refusal().cloned().map(Failure::from);
        let (download_bytes, space_needed_bytes) = (plan.download_bytes(), plan.space_needed_bytes());
        let files = plan.files.into_iter().map(|file| PlannedFile {
            path: file.path.to_string(),
            role: file.role.map(Role::as_str),
            size: file.size,
            digest: file.digest,
            state: file.state.as_str(),
            from: file.from,
        });
        let signatures = plan.signatures.into_iter();
        let signatures = signatures.map(|found| PlannedSignature { file: found.file, signer: found.signer });
        Self {
            signatures: signatures.collect(),
            id: plan.id,
            revision: plan.revision,
            files: files.collect(),
            left_out: plan.left_out,
            notices: plan.notices.iter().map(NoticeDocument::from).collect(),
            error,
            source: plan.source,
            policy: plan.policy.into_iter().map(PlannedVerdict::from).collect(),
            download_bytes,
            space_needed_bytes,
        }
    }
}

impl Planned {
    /// Returns the plan for people.
    pub(crate) fn text(&self) -> String {
        let mut text = self.id.clone();
        if let Some(revision) = &self.revision {
            let _ = write!(text, " at {revision}");
        }
        for file in &self.files {
            let _ = write!(text, "\n{:8}  {:>11}  {}", file.state, readable_size(file.size), file.path);
            if let Some(from) = &file.from {
                let _ = write!(text, ", from {}", from.display());
            }
        }
        for PlannedSignature { file, signer } in &self.signatures {
            let _ = match signer {
                Some(signer) => write!(text, "\nsignature {}, by {signer}", line(file)),
                None => write!(text, "\nsignature {}, not looked at: no key was given", line(file)),
            };
        }
        self.write_left_out(&mut text);
        for (name, value) in self.source.iter().flat_map(source::rows) {
            let _ = write!(text, "\n{name:8}  {value}");
        }
        self.write_policy(&mut text);
        let _ = write!(text, "\n{} to fetch", readable_size(self.download_bytes));
        for NoticeDocument { message, hint, .. } in &self.notices {
            let _ = write!(text, "\nnotice: {message}");
            if let Some(hint) = hint {
                let _ = write!(text, "\nhint: {hint}");
            }
        }
        text
    }

    /// Adds what the policy denies, and what a rule of an operator allows.
    fn write_policy(&self, text: &mut String) {
        for PlannedVerdict { rule, value, allowed, location } in &self.policy {
            let Some(location) = location.as_deref().filter(|place| !allowed || *place != "default") else {
                continue;
            };
            let decision = if *allowed { "allowed" } else { "denied" };
            let _ = write!(text, "\n{decision:8}  {rule}: {}, by `{location}`", line(value));
        }
    }

    /// Adds the largest files that stay out.
    fn write_left_out(&self, text: &mut String) {
        // The files that the reference does not mean were not in question.
        let was_in_question = |file: &&LeftOut| file.reason != LeftOutReason::NotAsked;
        let mut left_out: Vec<_> = self.left_out.iter().filter(was_in_question).collect();
        left_out.sort_by_key(|file| Reverse(file.size));
        for file in left_out.iter().take(SHOWN_LEFT_OUT) {
            let (size, path) = (readable_size(file.size), line(&file.path));
            let _ = write!(text, "\n{:8}  {size:>11}  {path}: {}", "left out", file.reason);
        }
        let others = left_out.get(SHOWN_LEFT_OUT..).unwrap_or_default();
        if !others.is_empty() {
            let bytes = others.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size));
            let _ = write!(text, "\n{:8}  {:>11}  {} more", "left out", readable_size(bytes), others.len());
        }
    }
}

impl From<RuleVerdict> for PlannedVerdict {
    fn from(verdict: RuleVerdict) -> Self {
        let (allowed, rule) = (verdict.is_allowed(), verdict.rule.into_owned());
        Self { rule, value: verdict.value, allowed, location: verdict.location }
    }
}
