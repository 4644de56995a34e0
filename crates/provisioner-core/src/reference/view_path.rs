//! Says where the view of a fetched model lies.

use super::model_ref::ModelRef;
use crate::{
    digest::key_of,
    error::{Error, Result},
    path::RelativePath,
};

impl ModelRef {
    /// Returns where the view of a model at a revision lies, below the folder of all views:
    /// `<scheme>/<name>/<revision>/<selection>`. A repository may have a name that no path has, such as `org/nul`: the first
    /// letter of such a name is percent-encoded.
    ///
    /// # Errors
    /// [`Error::UnsafePath`] when the revision does not make a path, or makes a hidden one: a hidden folder is an unfinished
    /// view.
    pub fn view_path(&self, revision: Option<&str>) -> Result<RelativePath> {
        let (name, selection) = match self {
            Self::Repo(repo) => (folders_of(repo.repo()), repo.selection_key()),
            other => (key_of(&other.id()), "all".to_owned()),
        };
        let revision = revision.unwrap_or("none").replace('/', "%2F");
        if revision.starts_with('.') {
            return Err(Error::UnsafePath { path: revision, reason: "a revision begins with no dot" });
        }
        RelativePath::new(format!("{}/{name}/{revision}/{selection}", self.scheme()))
    }
}

/// Returns the folders of a repository's name, each as a name that a path can have.
fn folders_of(repo: &str) -> String {
    let folder = |name: &str| match (RelativePath::new(name), name.as_bytes().split_first()) {
        (Err(_), Some((first, rest))) => format!("%{first:02X}{}", String::from_utf8_lossy(rest)),
        _ => name.to_owned(),
    };
    repo.split('/').map(folder).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_the_name_of_its_repository_where_a_path_can_have_it() {
        let check = |id: &str, path: &str| {
            let reference: ModelRef = id.parse().unwrap();
            assert_eq!(reference.view_path(Some("c0")).unwrap().as_str(), path);
        };
        check("hf:org/repo", "hf/org/repo/c0/all");
        check("hf:org/nul", "hf/org/%6Eul/c0/all");
        check("hf:Aux.x/repo", "hf/%41ux.x/repo/c0/all");
    }
}
