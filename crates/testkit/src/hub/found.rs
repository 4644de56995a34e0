//! What a request is for, before it becomes an answer.

use serde_json::Value;

use super::{entry::Entry, refusal::Refusal};

/// What a request is for.
#[derive(Debug)]
pub(super) enum Found {
    File(File),
    /// Entries as JSON, and the target of the page after this one.
    Tree {
        entries: Vec<Value>,
        next: Option<String>,
    },
    Info(Value),
    XetToken(Value),
    Account(Value),
    Refusal(Refusal),
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) repo: String,
    pub(super) path: String,
    pub(super) entry: Entry,
    pub(super) way: Way,
    /// The `ETag`, where a fault sets another.
    pub(super) etag: Option<String>,
}

/// Says which server sends a file.
#[derive(Debug)]
pub(super) enum Way {
    /// The hub sends it, from a commit.
    Direct { commit: String },
    /// The hub redirects to the CDN.
    ToCdn { commit: String },
    /// The hub redirects to another of its own URLs.
    ToCache { commit: String },
    /// The CDN sends it.
    Cdn,
}

impl Found {
    /// Returns the path in its repo, where it is a file.
    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Self::File(file) => Some(&file.path),
            _ => None,
        }
    }

    /// Returns the file, where its bytes are the answer.
    pub(super) fn served(&self) -> Option<&File> {
        match self {
            Self::File(file) if matches!(file.way, Way::Direct { .. } | Way::Cdn) => Some(file),
            _ => None,
        }
    }

    pub(super) fn is_listing(&self) -> bool {
        matches!(self, Self::Tree { .. } | Self::Info(_))
    }
}
