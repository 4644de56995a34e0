//! Lets a test publish a commit.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    content::{Content, Synthetic},
    entry::Entry,
    fault::{FaultKind, Planned},
    repo::{Commit, Draft},
    state::Shared,
};

/// A commit that a test is making. It holds the files that the test names here, and no others.
#[derive(Clone, Debug)]
#[must_use = "nothing is seen before `publish`"]
pub struct Publication {
    shared: Arc<Shared>,
    draft: Draft,
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
            card: Value::Null,
        };
        Self { shared, draft }
    }

    /// Adds a small file: a git blob, which the hub sends itself. The hub takes the path as it is, hostile or not.
    pub fn file(mut self, path: &str, bytes: impl Into<Bytes>) -> Self {
        self.draft.files.insert(path.to_owned(), Entry::git(bytes.into()));
        self
    }

    /// Adds a large file, which the hub redirects to the CDN.
    ///
    /// # Panics
    /// Never, for it reads nothing from disk.
    pub fn lfs(self, path: &str, bytes: impl Into<Bytes>) -> Self {
        let content = Content::Bytes(bytes.into());
        let sha256 = content.sha256().expect("it is in memory");
        self.entry(path, Entry::lfs(content, sha256))
    }

    /// Adds a large file that the hub makes while it sends it: see [`Synthetic`]. This call computes its SHA-256.
    pub fn lfs_synthetic(self, path: &str, size_bytes: u64, seed: u64) -> Self {
        let sha256 = Synthetic { size_bytes, seed }.sha256();
        self.entry(path, Entry::lfs(Content::Synthetic { size: size_bytes, seed }, sha256))
    }

    /// Adds a large file that the hub sends from disk, with the SHA-256 that the caller names. The file must not change.
    ///
    /// # Panics
    /// Where it cannot open the file.
    pub fn lfs_from_path(self, path: &str, on_disk: &Path, sha256: &str) -> Self {
        let content = Content::open(on_disk).expect("the file can be opened");
        self.entry(path, Entry::lfs(content, sha256.to_owned()))
    }

    /// Adds a large file that lies in Xet too: the server that [`Hub::xet_cas`](super::Hub::xet_cas) names must have it under that
    /// hash. A client that does not speak Xet gets it from the CDN.
    ///
    /// # Panics
    /// Never, for it reads nothing from disk.
    pub fn xet(self, path: &str, bytes: impl Into<Bytes>, xet_hash: &str) -> Self {
        let content = Content::Bytes(bytes.into());
        let sha256 = content.sha256().expect("it is in memory");
        let entry = Entry { xet_hash: Some(xet_hash.to_owned()), ..Entry::lfs(content, sha256) };
        self.entry(path, entry)
    }

    /// Adds such a file from disk, with the SHA-256 that the caller names. The file must not change.
    ///
    /// # Panics
    /// Where it cannot open the file.
    pub fn xet_from_path(self, path: &str, on_disk: &Path, sha256: &str, xet_hash: &str) -> Self {
        let content = Content::open(on_disk).expect("the file can be opened");
        let entry = Entry { xet_hash: Some(xet_hash.to_owned()), ..Entry::lfs(content, sha256.to_owned()) };
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

    /// States a licence in the model's card.
    pub fn license(mut self, license: &str) -> Self {
        self.draft.card = json!({ "license": license });
        self
    }

    /// Lets the hub's scanners say something of a file that was added, such as `unsafe`. A listing says it where it is asked to.
    ///
    /// # Panics
    /// Where no file has that path.
    pub fn scanned(mut self, path: &str, status: &str) -> Self {
        let entry = self.draft.files.get_mut(path).expect("the file was added");
        entry.scan = Some(status.to_owned());
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

impl FaultKind {
    /// Publishes a commit as soon as the request is answered, so that a branch moves between two calls.
    pub fn publish(publication: Publication) -> Self {
        Self::Publish(Box::new(Planned(publication.draft)))
    }
}
