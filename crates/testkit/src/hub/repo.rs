//! Repos, their commits, and how a test publishes them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use sha1::{Digest as _, Sha1};

use super::{content::Content, server::Shared};

/// A commit's name: 40 hex digits that follow from what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit(String);

impl Commit {
    /// The 40 hex digits.
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

/// A commit in the making: it will hold the files that are named here, and no others.
#[derive(Clone, Debug)]
#[must_use = "nothing is seen before `publish`"]
pub struct Publication {
    shared: Arc<Shared>,
    pub(super) draft: Draft,
}

/// What a commit will be, without the hub it goes to.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    id: String,
    files: BTreeMap<String, Entry>,
    branch: String,
    tag: Option<String>,
    is_gated: bool,
    is_private: bool,
}

impl Publication {
    pub(super) fn new(shared: Arc<Shared>, id: &str) -> Self {
        let draft = Draft {
            id: id.to_owned(),
            files: BTreeMap::new(),
            branch: "main".to_owned(),
            tag: None,
            is_gated: false,
            is_private: false,
        };
        Self { shared, draft }
    }

    /// A small file: a git blob, which the hub sends itself. Its path is taken as it is, hostile or not.
    pub fn file(mut self, path: &str, bytes: impl Into<Bytes>) -> Self {
        self.draft.files.insert(path.to_owned(), Entry::git(bytes.into()));
        self
    }

    /// A large file, which the hub redirects to the CDN.
    ///
    /// # Panics
    /// Never: nothing is read from disk.
    pub fn lfs(self, path: &str, bytes: impl Into<Bytes>) -> Self {
        let content = Content::Bytes(bytes.into());
        let sha256 = content.sha256().expect("it is in memory");
        self.entry(path, Entry::lfs(content, sha256))
    }

    /// A large file that is made while it is sent: see [`Synthetic`](super::Synthetic). Its SHA-256 is computed here.
    pub fn lfs_synthetic(self, path: &str, size_bytes: u64, seed: u64) -> Self {
        let sha256 = super::Synthetic { size_bytes, seed }.sha256();
        self.entry(path, Entry::lfs(Content::Synthetic { size: size_bytes, seed }, sha256))
    }

    /// A large file that is sent from disk, with the SHA-256 that the caller says it has. It must not change.
    ///
    /// # Panics
    /// Where the file cannot be opened.
    pub fn lfs_from_path(self, path: &str, on_disk: &Path, sha256: &str) -> Self {
        let content = Content::open(on_disk).expect("the file can be opened");
        self.entry(path, Entry::lfs(content, sha256.to_owned()))
    }

    /// A large file that lies in Xet too: what [`Hub::xet_cas`](super::Hub::xet_cas) names must have it under that hash. Who
    /// does not speak Xet gets it from the CDN.
    ///
    /// # Panics
    /// Never: nothing is read from disk.
    pub fn xet(self, path: &str, bytes: impl Into<Bytes>, xet_hash: &str) -> Self {
        let content = Content::Bytes(bytes.into());
        let sha256 = content.sha256().expect("it is in memory");
        let entry = Entry { xet_hash: Some(xet_hash.to_owned()), ..Entry::lfs(content, sha256) };
        self.entry(path, entry)
    }

    /// Moves this branch instead of `main`. The name may hold slashes.
    pub fn branch(mut self, name: &str) -> Self {
        name.clone_into(&mut self.draft.branch);
        self
    }

    /// Names the commit with a tag too.
    pub fn tag(mut self, name: &str) -> Self {
        self.draft.tag = Some(name.to_owned());
        self
    }

    /// Makes the repo gated: its files need a token that was [granted](super::Hub::grant); its listing does not.
    pub fn gated(mut self) -> Self {
        self.draft.is_gated = true;
        self
    }

    /// Makes the repo private: without a granted token it seems not to exist.
    pub fn private(mut self) -> Self {
        self.draft.is_private = true;
        self
    }

    /// Makes the commit and moves the branch to it. The same files make the same commit.
    pub fn publish(self) -> Commit {
        self.shared.state().repos.publish(&self.draft)
    }

    fn entry(mut self, path: &str, entry: Entry) -> Self {
        self.draft.files.insert(path.to_owned(), entry);
        self
    }
}

/// A file of a commit.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    /// The git blob's id: of the file, or of the pointer that stands for it.
    pub(super) oid: String,
    /// The SHA-256 of a large file.
    pub(super) sha256: Option<String>,
    pub(super) pointer_size: usize,
    /// What names it in Xet, where it lies there.
    pub(super) xet_hash: Option<String>,
}

impl Entry {
    pub(super) fn git(bytes: Bytes) -> Self {
        Self {
            oid: git_oid(&bytes),
            content: Content::Bytes(bytes),
            sha256: None,
            pointer_size: 0,
            xet_hash: None,
        }
    }

    pub(super) fn lfs(content: Content, sha256: String) -> Self {
        let size = content.size();
        let pointer =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n");
        let oid = git_oid(pointer.as_bytes());
        Self { content, oid, sha256: Some(sha256), pointer_size: pointer.len(), xet_hash: None }
    }

    /// What names the content: the SHA-256 of a large file, the git id of a small one.
    pub(super) fn etag(&self) -> &str {
        self.sha256.as_deref().unwrap_or(&self.oid)
    }
}

/// Git's id of a blob.
pub(crate) fn git_oid(bytes: &[u8]) -> String {
    let header = format!("blob {}\0", bytes.len());
    hex::encode(Sha1::new().chain_update(header).chain_update(bytes).finalize())
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
    commits: HashMap<String, Arc<Snapshot>>,
    refs: BTreeMap<String, String>,
}

impl Repo {
    /// What a branch, a tag or a whole commit name stands for.
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

    /// The repo whose id differs from that in letter case only.
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
        let snapshot = Snapshot { commit: commit.clone(), files: draft.files.clone() };
        repo.commits.insert(commit.clone(), Arc::new(snapshot));
        for name in std::iter::once(&draft.branch).chain(&draft.tag) {
            repo.refs.insert(name.clone(), commit.clone());
        }
        Commit(commit)
    }
}
