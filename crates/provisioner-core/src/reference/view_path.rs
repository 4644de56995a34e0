//! Says where the view of a fetched model lies.

use super::model_ref::ModelRef;
use crate::{
    digest::key_of,
    error::{Error, Result},
    path::RelativePath,
};

impl ModelRef {
    /// Returns where the view of a model at a revision lies, below the folder of all views:
    /// `<scheme>/<name>/<revision>/<selection>`.
    ///
    /// # Errors
    /// [`Error::UnsafePath`] when the revision does not make a path, or makes a hidden one: a hidden folder is an unfinished
    /// view.
    pub fn view_path(&self, revision: Option<&str>) -> Result<RelativePath> {
        let (name, selection) = match self {
            Self::Repo(repo) => (repo.repo().to_owned(), repo.selection_key()),
            other => (key_of(&other.id()), "all".to_owned()),
        };
        let revision = revision.unwrap_or("none").replace('/', "%2F");
        if revision.starts_with('.') {
            return Err(Error::UnsafePath { path: revision, reason: "a revision begins with no dot" });
        }
        RelativePath::new(format!("{}/{name}/{revision}/{selection}", self.scheme()))
    }
}
