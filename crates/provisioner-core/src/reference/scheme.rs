//! Says how to read the text behind each scheme.
//!
//! A scheme that is not in the table belongs to a fetcher of another crate. The parser reads its text as a repository where
//! the repository prints just that text, and never rewrites a text that it does not know. Otherwise the text stays as it is,
//! and its fetcher reads it: see [`OtherRef::repository`](super::OtherRef::repository).

/// The scheme of the Hugging Face Hub.
pub(super) const HUB: &str = "hf";

/// The scheme of the Hub, as other tools write it. No id has it.
pub(super) const HUB_IN_FULL: &str = "huggingface";

/// Says how to read the text behind a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The text is a path of this machine.
    Path,
    /// The text is a path of this machine as an address, percent-encoded.
    FileAddress,
    /// The text names a repository of the Hub, or is an address of the Hub's site.
    Hub,
    /// The text is an address, which may be a page of the Hub's site.
    Address,
    /// The text is one that only its fetcher reads.
    Text,
    /// The text is a repository where it prints the same, and otherwise one that only its fetcher reads.
    Unknown,
}

const TABLE: [(&str, Form); 12] = [
    ("local", Form::Path),
    ("file", Form::FileAddress),
    (HUB, Form::Hub),
    (HUB_IN_FULL, Form::Hub),
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

/// Returns how to read the text behind a scheme, which is in lower case.
pub(super) fn form_of(scheme: &str) -> Form {
    TABLE.iter().find(|(known, _)| *known == scheme).map_or(Form::Unknown, |(_, form)| *form)
}
