//! Holds a repository at one commit: what a listing names, and the manifests that the fetcher read of it.

#[cfg(feature = "info")]
use std::mem;
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use bytes::Bytes;
use model_selection::{Choice, Listing, Manifests, manifests_to_read, select};
#[cfg(feature = "info")]
use provisioner_core::ScanStatus;
use provisioner_core::{
    ContentHasher, DigestAlgorithm, FetchError, RelativePath, SourceFacts, reference::RepoRef,
};

use crate::{
    cache,
    tree::{Tree, TreeFile},
};

/// The largest number of bytes of manifests that a repository keeps, so that a transfer need not fetch them again.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// How often the fetcher reads a manifest whose bytes are not those that the listing states.
const MAX_READS: usize = 2;

/// Holds a repository at one commit.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) hub: RepoRef,
    pub(crate) commit: String,
    listing: Listing,
    files: BTreeMap<RelativePath, TreeFile>,
    manifests: Manifests,
    /// How often the fetcher read a manifest whose bytes are not those that the listing states.
    refused: HashMap<RelativePath, usize>,
    /// The bytes of manifests, where they are few enough to keep.
    kept: HashMap<RelativePath, Bytes>,
    kept_bytes: usize,
    /// What the hub says of the repository.
    pub(crate) facts: SourceFacts,
}

/// Holds the listed files of a repository after the choice. The map gives memory back as a manifest takes the files out, which may
/// be a hundred thousand.
pub(crate) struct ListedFiles {
    files: BTreeMap<RelativePath, TreeFile>,
    kept: HashMap<RelativePath, Bytes>,
}

impl Repository {
    /// Returns the repository of a listing, before any of its manifests is read.
    pub(crate) fn new(hub: RepoRef, commit: String, tree: Tree) -> Self {
        let odd = tree.odd.iter().map(|(name, size)| (name.as_str(), *size));
        let listing: Listing =
            tree.files.iter().map(|file| (file.path.as_str(), file.size)).chain(odd).collect();
        let files = tree.files.into_iter().map(|file| (file.path.clone(), file)).collect();
        Self {
            hub,
            commit,
            listing,
            files,
            manifests: Manifests::default(),
            refused: HashMap::new(),
            kept: HashMap::new(),
            kept_bytes: 0,
            facts: SourceFacts::default(),
        }
    }

    /// Reads the manifests that another tool downloaded into some caches.
    pub(crate) fn read_downloaded(&mut self, caches: &[PathBuf]) {
        let mut is_new = true;
        while std::mem::take(&mut is_new) {
            for file in self.telling() {
                if let Some(bytes) = cache::downloaded(caches, &self.hub, &self.commit, &file) {
                    is_new |= self.add(&file, bytes.into());
                }
            }
        }
    }

    /// Reads what some caches have of the manifests, and gives the others up.
    pub(crate) fn read_downloaded_alone(&mut self, caches: &[PathBuf]) {
        loop {
            self.read_downloaded(caches);
            let missing = self.telling();
            if missing.is_empty() {
                return;
            }
            for file in missing {
                self.manifests.give_up(file.path);
            }
        }
    }

    /// Returns the small files that say what the repository is, and that the fetcher reads next.
    pub(crate) fn telling(&self) -> Vec<TreeFile> {
        let paths = manifests_to_read(&self.listing, self.hub.target(), &self.manifests);
        paths.iter().filter_map(|path| self.files.get(path)).cloned().collect()
    }

    /// Notes that the bytes of a manifest are not those that the listing states. After two reads the choice does without it.
    pub(crate) fn refuse(&mut self, path: RelativePath) {
        let reads = self.refused.entry(path.clone()).or_default();
        *reads += 1;
        if *reads >= MAX_READS {
            self.manifests.give_up(path);
        }
    }

    /// Adds the bytes of a manifest, if they are those that the listing states, and returns whether they are. Other bytes decide
    /// nothing: the transfer of the file will refuse them.
    pub(crate) fn add(&mut self, file: &TreeFile, bytes: Bytes) -> bool {
        if !is_listed(file, &bytes) {
            return false;
        }
        self.manifests.insert(file.path.clone(), bytes.clone());
        if self.kept_bytes + bytes.len() <= MAX_KEPT_BYTES {
            self.kept_bytes += bytes.len();
            self.kept.insert(file.path.clone(), bytes);
        }
        true
    }

    /// Chooses the files that belong to the model.
    ///
    /// # Errors
    /// Those of [`select`].
    pub(crate) fn choose(&self) -> Result<Choice, FetchError> {
        select(&self.hub, &self.listing, &self.manifests)
    }

    /// Returns whether the listing has all of some files.
    pub(crate) fn has(&self, paths: &[RelativePath]) -> bool {
        !paths.is_empty() && paths.iter().all(|path| self.files.contains_key(path))
    }

    /// Adds what the hub says of the repository in another answer.
    #[cfg(feature = "info")]
    pub(crate) fn add_facts(&mut self, found: SourceFacts) {
        self.facts = mem::take(&mut self.facts).or(found);
    }

    /// Notes what the hub's scanners say of a file. Two results for one file are an unknown one.
    #[cfg(feature = "info")]
    pub(crate) fn note_scan(&mut self, path: &str, status: ScanStatus) {
        let listed = RelativePath::new(path).ok().and_then(|path| self.files.get_mut(&path));
        let Some(file) = listed else { return };
        let is_other = file.scan.is_some_and(|known| known != status);
        file.scan = Some(if is_other { ScanStatus::Unknown } else { status });
    }

    /// Returns what the hub says of the repository and of some of its files.
    pub(crate) fn facts_of(&self, paths: &[RelativePath]) -> SourceFacts {
        let mut facts = self.facts.clone();
        let scan = |path: &RelativePath| Some((path.clone(), self.files.get(path)?.scan?));
        facts.scans = paths.iter().filter_map(scan).collect();
        facts
    }

    /// Returns the files alone, after the choice: nothing needs the names by which the listing chooses any more.
    pub(crate) fn into_files(self) -> ListedFiles {
        ListedFiles { files: self.files, kept: self.kept }
    }
}

impl ListedFiles {
    /// Takes a file out, with its bytes where the repository keeps them.
    pub(crate) fn take(&mut self, path: &RelativePath) -> Option<(TreeFile, Option<Bytes>)> {
        let file = self.files.remove(path)?;
        Some((file, self.kept.remove(path)))
    }
}

/// Returns whether bytes are those of a listed file.
fn is_listed(file: &TreeFile, bytes: &[u8]) -> bool {
    let wants_git_id = file.digest.algorithm() == DigestAlgorithm::GitSha1;
    let mut hasher = ContentHasher::of_size(file.size, wants_git_id);
    hasher.update(bytes);
    let digests = hasher.finish();
    let found = if wants_git_id { digests.git_sha1 } else { Some(digests.sha256) };
    file.size == bytes.len() as u64 && found.as_ref() == Some(&file.digest)
}
