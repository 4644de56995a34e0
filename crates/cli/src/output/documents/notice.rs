//! Defines the document of what a person should know of a choice of files.

use model_provisioner::Notice;
use serde::Serialize;

use crate::output::hint;

/// Tells what an engine or a person may miss.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NoticeDocument {
    /// The kind, such as `no-tokenizer`.
    kind: &'static str,
    /// The notice, for people.
    pub(crate) message: String,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl From<&Notice> for NoticeDocument {
    fn from(notice: &Notice) -> Self {
        let hint = notice.hint().as_ref().map(hint::text);
        Self { kind: notice.as_str(), message: notice.to_string(), hint }
    }
}
