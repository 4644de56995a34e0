//! Repos and their commits.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use serde_json::Value;
use sha1::{Digest as _, Sha1};

use super::entry::Entry;

/// A commit's name: 40 hex digits that follow from what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit(String);

impl Commit {
    /// Returns the 40 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::ops::Deref for Commit {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Holds a commit before the hub publishes it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) files: BTreeMap<String, Entry>,
    pub(super) branch: String,
    pub(super) tag: Option<String>,
    pub(super) is_gated: bool,
    pub(super) is_private: bool,
    pub(super) card: Value,
}

/// All files of a repo at one commit.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) commit: String,
    pub(super) files: BTreeMap<String, Entry>,
}

#[derive(Debug, Default)]
pub(super) struct Repo {
    pub(super) id: String,
    pub(super) is_gated: bool,
    pub(super) is_private: bool,
    /// The data of the model's card.
    pub(super) card: Value,
    commits: HashMap<String, Arc<Snapshot>>,
    refs: BTreeMap<String, String>,
}

impl Repo {
    /// Finds the files that a branch, a tag or a whole commit name stands for.
    pub(super) fn at(&self, revision: &str) -> Option<Arc<Snapshot>> {
        let commit = self.refs.get(revision).map_or(revision, String::as_str);
        self.commits.get(commit).cloned()
    }
}

/// Every repo of the hub.
#[derive(Debug, Default)]
pub(super) struct Repos(BTreeMap<String, Repo>);

impl Repos {
    pub(super) fn get(&self, id: &str) -> Option<&Repo> {
        self.0.get(id)
    }

    /// Finds the repo whose id differs from that in letter case only.
    pub(super) fn in_other_case(&self, id: &str) -> Option<&Repo> {
        self.0.values().find(|repo| repo.id.eq_ignore_ascii_case(id))
    }

    pub(super) fn publish(&mut self, draft: &Draft) -> Commit {
        let mut hasher = Sha1::new_with_prefix(format!("{}\0", draft.id));
        for (path, entry) in &draft.files {
            hasher.update(format!("{path}\0{}\0{}\n", entry.oid, entry.content.size()));
        }
        let commit = hex::encode(hasher.finalize());
        let repo = self.0.entry(draft.id.clone()).or_default();
        repo.id.clone_from(&draft.id);
        (repo.is_gated, repo.is_private) = (draft.is_gated, draft.is_private);
        repo.card.clone_from(&draft.card);
        let snapshot = Snapshot { commit: commit.clone(), files: draft.files.clone() };
        repo.commits.insert(commit.clone(), Arc::new(snapshot));
        for name in std::iter::once(&draft.branch).chain(&draft.tag) {
            repo.refs.insert(name.clone(), commit.clone());
        }
        Commit(commit)
    }
}
