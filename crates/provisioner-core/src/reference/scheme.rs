//! The table of schemes: how the text behind each is read.
//!
//! A scheme that is not in the table belongs to a fetcher of a third party. Its text is read as a repository where the text
//! is just what a repository prints; this crate never rewrites a text that it does not know. Otherwise the text stays as it is,
//! and its fetcher reads it: see [`OtherRef::repository`](super::OtherRef::repository).

/// The scheme of the Hugging Face Hub.
pub(super) const HUB: &str = "hf";

/// How the text behind a scheme is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A path of this machine.
    Path,
    /// A path of this machine as an address, percent-encoded.
    FileAddress,
    /// The repository grammar.
    Repository,
    /// An address, which may be a page of the Hub's site.
    Address,
    /// A text that its fetcher reads.
    Text,
    /// A repository where the text fits as it is written, and otherwise a text.
    Unknown,
}

const TABLE: [(&str, Form); 11] = [
    ("local", Form::Path),
    ("file", Form::FileAddress),
    (HUB, Form::Repository),
    ("http", Form::Address),
    ("https", Form::Address),
    ("s3", Form::Text),
    ("gs", Form::Text),
    ("az", Form::Text),
    ("oci", Form::Text),
    ("docker", Form::Text),
    ("ollama", Form::Text),
];

/// Returns whether the source of a scheme pins a revision to a commit of git, in full.
pub(super) fn pins_commits(scheme: &str) -> bool {
    scheme == HUB
}

/// Returns whether the source of a scheme takes names of repositories for the same in any letter case.
pub(super) fn folds_case(scheme: &str) -> bool {
    scheme == HUB
}

/// Returns how the text behind a scheme is read. The scheme is in lower case.
pub(super) fn form_of(scheme: &str) -> Form {
    TABLE.iter().find(|(known, _)| *known == scheme).map_or(Form::Unknown, |(_, form)| *form)
}
