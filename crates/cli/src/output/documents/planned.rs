//! Defines the document of what ensuring a model would fetch.

use std::{fmt::Write as _, path::PathBuf};

use indicatif::HumanBytes;
use model_provisioner::{Digest, EnsurePlan};
use serde::Serialize;

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

impl From<EnsurePlan> for Planned {
    fn from(plan: Plan) -> Self {
        let (download_bytes, space_needed_bytes) = (plan.download_bytes(), plan.space_needed_bytes());
        let files = plan.files.into_iter().map(|file| PlannedFile {
            path: file.path.to_string(),
            size: file.size,
            digest: file.digest,
            state: file.state.as_str(),
            from: file.from,
        });
        Self {
            id: plan.id,
            revision: plan.revision,
            files: files.collect(),
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
            let _ =
                write!(text, "\n{:8}  {:>11}  {}", file.state, HumanBytes(file.size).to_string(), file.path);
            if let Some(from) = &file.from {
                let _ = write!(text, ", from {}", from.display());
            }
        }
        let _ = write!(text, "\n{} to fetch", HumanBytes(self.download_bytes));
        text
    }
}
