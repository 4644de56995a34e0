//! Names a repository, a revision of it, and the part of it that is the model.

use std::{collections::BTreeSet, fmt};

use super::{
    hub,
    rules::{check_revision, escape, invalid},
    scheme,
    shard::at_first_shard,
};
use crate::{digest::key_of, error::Result, path::RelativePath};

/// Names a repository of some source, at a revision, and the part of it that is the model.
///
/// Its text is `<scheme>:org/repo[@revision][/path | :QUANTIZATION | ?include=…&exclude=…]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoRef {
    /// The scheme, in lower case and without the colon.
    pub(super) scheme: String,
    /// The name `org/repo`, or `repo` alone for the few repositories that have no organisation.
    pub(super) repo: String,
    pub(super) revision: Option<String>,
    pub(super) target: RepoTarget,
}

/// Says which part of a repository is the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RepoTarget {
    /// The model is the files that an engine loads, or those that the selection names.
    Repository(Selection),
    /// The model is one file, the set of shards of which it is the first, or a folder. Only the source knows which.
    Path(RelativePath),
    /// The model is the GGUF file, or set of shards, of one quantization, in upper case.
    Quantization(String),
}

/// Names the files to take and to leave out, by patterns. The patterns are sorted, for they are a part of the model's
/// identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selection {
    /// The patterns of the files to take. No pattern means the files that an engine usually loads.
    pub include: BTreeSet<String>,
    /// The patterns of the files to leave out.
    pub exclude: BTreeSet<String>,
}

impl Selection {
    /// Returns whether the selection has no pattern.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

impl RepoRef {
    /// Returns the reference at a revision that its source pinned, such as a commit.
    #[must_use]
    pub fn at(mut self, revision: &str) -> Self {
        self.revision = Some(revision.to_owned());
        self
    }

    /// Returns the reference to the whole of the same repository.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.target = RepoTarget::Repository(Selection::default());
        self
    }

    /// Returns the reference to one file of the same repository, or to the set of shards that it belongs to. A repository without
    /// an organisation is at `main` then, where it names no revision: its name and a path alone would read as `org/repo`.
    ///
    /// # Errors
    /// [`Error::UnsafePath`](crate::Error::UnsafePath). A path that is safe already does not cause it.
    pub fn file(mut self, path: &RelativePath) -> Result<Self> {
        self.target = RepoTarget::Path(RelativePath::new(at_first_shard(path.as_str()))?);
        if !self.repo.contains('/') {
            self.revision.get_or_insert_with(|| "main".to_owned());
        }
        Ok(self)
    }

    /// Returns the reference with a revision, where it has none yet, and with these patterns beside its own.
    ///
    /// # Errors
    /// [`Error::InvalidReference`](crate::Error::InvalidReference) for a text that is not a revision, for another revision
    /// than the reference has, and for patterns where the reference names a path or a quantization.
    pub fn select(
        mut self,
        revision: Option<&str>,
        include: impl IntoIterator<Item = String>,
        exclude: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let text = self.to_string();
        let fail = |reason: &str| invalid(&text, reason);
        if let Some(revision) = revision {
            let revision = check_revision(revision, fail)?;
            if let Some(why) = hub::why_no_revision(&self.scheme, &revision) {
                return Err(fail(why));
            }
            if self.revision.as_ref().is_some_and(|own| *own != revision) {
                return Err(fail(&format!("it names another revision than `{revision}`")));
            }
            self.revision = Some(revision);
        }
        let more =
            Selection { include: include.into_iter().collect(), exclude: exclude.into_iter().collect() };
        if more.is_empty() {
            return Ok(self);
        }
        match &mut self.target {
            RepoTarget::Repository(selection) => {
                selection.include.extend(more.include);
                selection.exclude.extend(more.exclude);
                Ok(self)
            }
            _ => Err(fail("patterns are of a whole repository, and it names a part already")),
        }
    }

    /// Returns a name for a folder, which differs where the target differs: `all` for the files that an engine usually loads.
    pub fn selection_key(&self) -> String {
        match &self.target {
            RepoTarget::Repository(selection) if selection.is_empty() => "all".to_owned(),
            _ => {
                let plain = Self { revision: None, ..self.clone() };
                key_of(&plain.to_string())[..16].to_owned()
            }
        }
    }

    /// Returns whether the source takes two names of repositories for the same that differ in letter case alone.
    pub fn folds_case(&self) -> bool {
        scheme::folds_case(&self.scheme)
    }

    /// Returns the scheme in lower case, without the colon.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns `org/repo`, or `repo` alone.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// Returns the branch, tag or commit; `None` means the default branch.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Returns the part of the repository that is the model.
    pub fn target(&self) -> &RepoTarget {
        &self.target
    }
}

impl fmt::Display for RepoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.repo)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{}", escape(revision, "%/?"))?;
        }
        match &self.target {
            RepoTarget::Path(path) => write!(f, "/{path}"),
            RepoTarget::Quantization(quantization) => write!(f, ":{quantization}"),
            RepoTarget::Repository(selection) => {
                let patterns = selection.include.iter().map(|pattern| ("include", pattern));
                let patterns = patterns.chain(selection.exclude.iter().map(|pattern| ("exclude", pattern)));
                for (index, (name, pattern)) in patterns.enumerate() {
                    write!(f, "{}{name}={}", if index == 0 { '?' } else { '&' }, escape(pattern, "%&/"))?;
                }
                Ok(())
            }
        }
    }
}
