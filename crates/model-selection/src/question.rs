//! Holds what a layout needs to decide.

use provisioner_core::{FetchError, reference::RepoRef};

use crate::{
    manifests::Manifests,
    names::{FolderKind, folder_kind},
    scope::{Decided, Scope},
};

/// What a layout needs to decide: the reference, for messages; the files; and what was read of them.
pub(crate) struct Question<'a> {
    pub(crate) repo: &'a RepoRef,
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) manifests: &'a Manifests,
    /// How many folders a search has gone down already.
    pub(crate) depth: usize,
}

/// Chooses what an engine loads of a whole folder.
pub(crate) type Whole = fn(&Question<'_>) -> Result<Decided, FetchError>;

/// Returns whether a folder of a scope holds the state of a training, in which no model is looked for.
pub(crate) fn is_training(folder: &str) -> bool {
    folder_kind(&folder.to_ascii_lowercase()) == Some(FolderKind::Training)
}
