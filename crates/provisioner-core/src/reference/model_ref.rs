//! Defines the type of a reference.

use std::fmt;

use super::{local::LocalRef, repo::RepoRef, rules::is_commit, scheme::pins_commits};
use crate::error::Result;

/// Says which model a person or a config asks for. Its text form is the model's id: `parse(id).id() == id`.
///
/// ```
/// use provisioner_core::ModelRef;
///
/// assert_eq!("file:///models/a%20b.gguf".parse::<ModelRef>()?.id(), "local:/models/a b.gguf");
/// assert_eq!("hf:org/repo:q4_k_m".parse::<ModelRef>()?.id(), "hf:org/repo:Q4_K_M");
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ModelRef {
    /// A file or folder on this machine.
    Local(LocalRef),
    /// A repository of some source, such as the Hugging Face Hub.
    Repo(RepoRef),
    /// A text that only the fetcher of its scheme reads.
    Other(OtherRef),
}

/// Holds a reference whose text only the fetcher of its scheme reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OtherRef {
    pub(super) scheme: String,
    pub(super) rest: String,
}

impl OtherRef {
    /// Returns the scheme in lower case, without the colon.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns what follows the colon, unchanged.
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// Reads the text as a repository, for a fetcher that [has repositories](crate::ModelFetcher::has_repositories). The
    /// text of the result may differ from this one: a quantization is in upper case, and a shard is the first of its set.
    ///
    /// # Errors
    /// As [`RepoRef::parse`].
    pub fn repository(&self) -> Result<RepoRef> {
        RepoRef::parse(&self.scheme, &self.rest)
    }
}

impl ModelRef {
    /// Returns the canonical text, which is the id of the model.
    pub fn id(&self) -> String {
        self.to_string()
    }

    /// Returns the scheme, by which a fetcher is chosen: `local`, `hf`, …
    pub fn scheme(&self) -> &str {
        match self {
            Self::Local(_) => "local",
            Self::Repo(repo) => repo.scheme(),
            Self::Other(other) => &other.scheme,
        }
    }

    /// Returns whether the model lies on this machine and an engine uses it in place. Every other model is fetched into the
    /// store.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Returns the repository, where the reference names one.
    ///
    /// ```
    /// use provisioner_core::ModelRef;
    ///
    /// let reference: ModelRef = "mem:org/repo@v1/a.gguf".parse()?;
    /// assert_eq!(reference.repository().map(|repo| repo.repo()), Some("org/repo"));
    /// assert!("s3://bucket/a.gguf".parse::<ModelRef>()?.repository().is_none());
    /// # Ok::<(), provisioner_core::Error>(())
    /// ```
    pub fn repository(&self) -> Option<&RepoRef> {
        match self {
            Self::Repo(repo) => Some(repo),
            _ => None,
        }
    }

    /// Returns the revision that the reference itself names.
    pub fn revision(&self) -> Option<&str> {
        self.repository().and_then(RepoRef::revision)
    }

    /// Returns the reference at a revision that its source pinned. `None` for a reference without a repository, and for a
    /// revision that no reference can name.
    #[must_use]
    pub fn at_revision(&self, revision: &str) -> Option<Self> {
        let pinned = self.repository()?.clone().at(revision);
        let text = pinned.to_string();
        let (_, rest) = text.split_once(':')?;
        (RepoRef::parse(pinned.scheme(), rest).ok()? == pinned).then_some(Self::Repo(pinned))
    }

    /// Returns whether the source of the reference may pin it to a revision, as far as the scheme tells: the Hub pins a commit in
    /// full, and the source of any other repository pins what a reference can name. A reference without a repository says nothing
    /// of revisions, and takes each. What the fetcher says of itself counts before this:
    /// [`ModelFetcher::pins`](crate::ModelFetcher::pins).
    ///
    /// ```
    /// use provisioner_core::ModelRef;
    ///
    /// let (hub, other): (ModelRef, ModelRef) = ("hf:org/repo".parse()?, "mem:org/repo".parse()?);
    /// assert!(!hub.may_be_at("v1") && other.may_be_at("v1"));
    /// assert!(!other.may_be_at("a..b"));
    /// # Ok::<(), provisioner_core::Error>(())
    /// ```
    pub fn may_be_at(&self, revision: &str) -> bool {
        match self.repository() {
            Some(repo) if pins_commits(repo.scheme()) => is_commit(revision),
            Some(_) => self.at_revision(revision).is_some(),
            None => true,
        }
    }
}

impl From<RepoRef> for ModelRef {
    fn from(repo: RepoRef) -> Self {
        Self::Repo(repo)
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(local) => write!(f, "local:{}", local.as_str()),
            Self::Repo(repo) => repo.fmt(f),
            Self::Other(other) => write!(f, "{}:{}", other.scheme, other.rest),
        }
    }
}
