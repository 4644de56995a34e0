//! Holds what a lock file pins: references, each with its revision and the SHA-256 of every file.
//!
//! The crate `lockfile` reads and writes the text of one. Nothing here reads a file.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use crate::{
    choice::LeftOutReason,
    digest::{Digest, DigestAlgorithm, sha256_tree},
    error::{Error, Result},
    manifest::{Entry, Locator, Manifest, ManifestFile},
    path::RelativePath,
    record::CatalogRecord,
    reference::ModelRef,
    rejection::Rejection,
    verification::Expectation,
};

/// The largest size of a file that a lock file can name, in bytes: TOML has signed integers.
const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// Holds the models of a lock file, by their ids.
///
/// ```
/// use provisioner_core::{ContentHasher, LockFile, LockedFile, LockedModel};
///
/// let sha256 = ContentHasher::new().finish().sha256;
/// let file = LockedFile { path: "a.gguf".parse()?, size: 0, sha256 };
/// let model = LockedModel::new("hf:org/repo/a.gguf".parse()?, Some("v1".to_owned()), vec![file])?;
/// let lock: LockFile = [model].into_iter().collect();
/// assert_eq!(lock.get("hf:org/repo/a.gguf").unwrap().revision(), Some("v1"));
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFile {
    models: BTreeMap<String, LockedModel>,
    path: Option<PathBuf>,
}

/// Pins one reference to a revision and to the bytes of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedModel {
    reference: ModelRef,
    revision: Option<String>,
    files: Vec<LockedFile>,
    tree: Digest,
}

/// Pins one file of a model to its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedFile {
    /// The path of the file in the model.
    pub path: RelativePath,
    /// The size of the file, in bytes.
    pub size: u64,
    /// The SHA-256 of the bytes.
    pub sha256: Digest,
}

impl LockFile {
    /// Sets the path that the lock file has, which messages name.
    #[must_use]
    pub fn at(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// Returns the path that the lock file has.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Adds a model, and returns the one that it replaces.
    pub fn insert(&mut self, model: LockedModel) -> Option<LockedModel> {
        self.models.insert(model.reference.id(), model)
    }

    /// Returns the model of an id.
    pub fn get(&self, id: &str) -> Option<&LockedModel> {
        self.models.get(id)
    }

    /// Returns the models, in the order of their ids.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &LockedModel> {
        self.models.values()
    }
}

impl FromIterator<LockedModel> for LockFile {
    fn from_iter<I: IntoIterator<Item = LockedModel>>(models: I) -> Self {
        let models = models.into_iter().map(|model| (model.reference.id(), model)).collect();
        Self { models, path: None }
    }
}

impl LockedModel {
    /// Pins a reference to its files.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] for files that cannot be one model, for a digest that is not a SHA-256, and for a size of more bytes
    /// than a lock file can name.
    pub fn new(reference: ModelRef, revision: Option<String>, mut files: Vec<LockedFile>) -> Result<Self> {
        let inconsistent = |reason: String| Error::Inconsistent { id: reference.id(), reason };
        for LockedFile { path, size, sha256 } in &files {
            if sha256.algorithm() != DigestAlgorithm::Sha256 {
                return Err(inconsistent(format!("`{path}` has no SHA-256")));
            }
            if *size > MAX_FILE_BYTES {
                return Err(inconsistent(format!("`{path}` is larger than a lock file can say")));
            }
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let tree = sha256_tree(files.iter().map(|file| (&file.path, &file.sha256)));
        let locked = Self { reference, revision, files, tree };
        // A manifest has the rules of what may be one model.
        locked.manifest().map(|_| locked)
    }

    /// Returns the reference that the entry pins.
    pub fn reference(&self) -> &ModelRef {
        &self.reference
    }

    /// Returns the revision. `None` for a source without revisions.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Returns the files, in the order of their paths.
    pub fn files(&self) -> &[LockedFile] {
        &self.files
    }

    /// Returns the digest of the set of files: [`sha256_tree`], which in-toto calls `dirHash`.
    pub fn tree(&self) -> &Digest {
        &self.tree
    }

    /// Returns the size of all files, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Returns what a caller demands that demands these bytes.
    pub fn expectation(&self) -> Expectation {
        Expectation::pinned(self.tree.clone())
    }

    /// Returns whether a record is of these bytes.
    pub fn is_of(&self, record: &CatalogRecord) -> bool {
        record.tree().as_ref() == Some(&self.tree)
    }

    /// Returns the manifest of these files. It says neither where they are nor which part of them an engine loads.
    ///
    /// # Errors
    /// As [`Manifest::new`].
    pub fn manifest(&self) -> Result<Manifest> {
        let files = self.files.iter().map(|file| ManifestFile {
            path: file.path.clone(),
            size: file.size,
            digest: Some(file.sha256.clone()),
            locator: Locator::Stored,
        });
        let manifest = Manifest::new(self.reference.clone(), files.collect(), Entry::Folder)?;
        Ok(match &self.revision {
            Some(revision) => manifest.at_revision(revision),
            None => manifest,
        })
    }

    /// Returns whether a listing has every locked file.
    pub fn is_listed_by(&self, manifest: &Manifest) -> bool {
        let listed: HashSet<_> = manifest.files().iter().map(|file| &file.path).collect();
        self.files.iter().all(|file| listed.contains(&file.path))
    }

    /// Returns what a source lists, as the entry pins it: at its revision, without other files, and with the locked SHA-256 where
    /// the source lists no digest. A file that the source lists by git's id keeps that id, by which other tools know it; the
    /// [expectation](Self::expectation) covers its SHA-256.
    ///
    /// # Errors
    /// [`Error::Rejected`] where the source lists another revision, lacks a file, or lists another size or digest of one.
    pub fn applied_to(&self, manifest: Manifest) -> Result<Manifest> {
        let refuse = |reason: String| Error::Rejected {
            id: self.reference.id(),
            rejection: Rejection::NotAsLocked { reason },
        };
        if manifest.revision() != self.revision() {
            let told =
                |revision: Option<&str>| revision.map_or("none".to_owned(), |name| format!("`{name}`"));
            let (locked, listed) = (told(self.revision()), told(manifest.revision()));
            return Err(refuse(format!("the locked revision is {locked}, and its source names {listed}")));
        }
        if let Some(reason) = self.difference(&manifest) {
            return Err(refuse(reason));
        }
        let locked: HashMap<_, _> = self.files.iter().map(|file| (&file.path, &file.sha256)).collect();
        let is_locked = |path: &RelativePath| locked.contains_key(path);
        let projector = manifest.projector().filter(|path| is_locked(path)).cloned();
        let manifest = manifest.leave_out(|path, _| !is_locked(path), LeftOutReason::NotLocked, |_, _| {});
        if let Entry::File(path) = manifest.entry()
            && !is_locked(path)
        {
            return Err(refuse(format!("an engine loads `{path}`, which is not locked")));
        }
        let digest_of = |file: &ManifestFile| {
            let is_listed = file.digest.is_some();
            locked.get(&file.path).copied().filter(|_| !is_listed).cloned()
        };
        Ok(manifest.with_projector(projector).with_digests(digest_of))
    }

    /// Returns what a place lists that needs no trust, as the entry pins it: [`applied_to`](Self::applied_to), and each file has the
    /// locked SHA-256 alone.
    ///
    /// # Errors
    /// As [`applied_to`](Self::applied_to).
    pub fn imposed_on(&self, manifest: Manifest) -> Result<Manifest> {
        Ok(self.applied_to(manifest)?.with_digests(|file| self.sha256_of(&file.path).cloned()))
    }

    /// Returns the locked SHA-256 of a file.
    pub fn sha256_of(&self, path: &RelativePath) -> Option<&Digest> {
        let found = self.files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        self.files.get(found).map(|file| &file.sha256)
    }

    /// Returns how a listing differs in what is locked.
    fn difference(&self, manifest: &Manifest) -> Option<String> {
        let listed: HashMap<_, _> = manifest.files().iter().map(|file| (&file.path, file)).collect();
        self.files.iter().find_map(|LockedFile { path, size, sha256 }| {
            let Some(file) = listed.get(path) else { return Some(format!("its source lists no `{path}`")) };
            if file.size != *size {
                return Some(format!("`{path}` has {size} bytes, and its source lists {}", file.size));
            }
            let digest =
                file.digest.as_ref().filter(|digest| digest.algorithm() == DigestAlgorithm::Sha256)?;
            (digest != sha256).then(|| format!("`{path}` has {sha256}, and its source lists {digest}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::ErrorCode;

    fn digest(seed: u8) -> Digest {
        Digest::sha256([seed; 32])
    }

    fn locked(files: &[(&str, u64, u8)]) -> Result<LockedModel> {
        let files = files.iter().map(|(path, size, seed)| LockedFile {
            path: path.parse().unwrap(),
            size: *size,
            sha256: digest(*seed),
        });
        LockedModel::new("mem:org/repo".parse().unwrap(), Some("v1".to_owned()), files.collect())
    }

    fn listing(files: &[(&str, u64, Option<Digest>)], revision: &str, entry: Entry) -> Manifest {
        let files = files.iter().map(|(path, size, digest)| ManifestFile {
            path: path.parse().unwrap(),
            size: *size,
            digest: digest.clone(),
            locator: Locator::Stored,
        });
        let manifest = Manifest::new("mem:org/repo".parse().unwrap(), files.collect(), entry).unwrap();
        manifest.at_revision(revision)
    }

    #[test]
    fn files_that_cannot_be_one_model_are_not_locked() {
        assert!(locked(&[("a", 1, 1), ("b/c", 2, 2)]).is_ok());
        for files in [
            &[][..],
            &[("a", 1, 1), ("a", 1, 1)],
            &[("a", 1, 1), ("a/b", 1, 1)],
            &[(".model.json", 1, 1)],
            &[("a", u64::MAX, 1)],
        ] {
            assert!(locked(files).is_err(), "{files:?}");
        }
        let git = LockedFile { path: "a".parse().unwrap(), size: 1, sha256: Digest::git_sha1([1; 20]) };
        assert!(LockedModel::new("mem:org/repo".parse().unwrap(), None, vec![git]).is_err());
    }

    #[test]
    fn a_listing_gets_the_locked_digests_and_loses_other_files() {
        let locked = locked(&[("a", 1, 1), ("b", 2, 2), ("c", 3, 3)]).unwrap();
        let git = Digest::git_sha1([9; 20]);
        let files = [("a", 1, Some(digest(1))), ("b", 2, Some(git.clone())), ("c", 3, None), ("d", 4, None)];
        let listed = listing(&files, "v1", Entry::Folder);
        let digests = |manifest: &Manifest| {
            manifest.files().iter().map(|file| file.digest.clone().unwrap()).collect::<Vec<_>>()
        };
        let manifest = locked.applied_to(listed.clone()).unwrap();
        assert_eq!(digests(&manifest), [digest(1), git, digest(3)]);
        let manifest = locked.imposed_on(listed).unwrap();
        assert_eq!(digests(&manifest), [digest(1), digest(2), digest(3)]);
        assert_eq!(manifest.left_out()[0].reason, LeftOutReason::NotLocked);
        assert!(manifest.check(&locked.expectation()).is_ok());
    }

    #[test]
    fn a_listing_of_something_else_is_refused_with_the_difference() {
        let model = locked(&[("a", 1, 1), ("b", 2, 2)]).unwrap();
        let good = [("a", 1, Some(digest(1))), ("b", 2, None)];
        let check = |listed: Manifest, told: &str| {
            let error = model.applied_to(listed).unwrap_err();
            assert_eq!(error.code(), ErrorCode::DigestMismatch);
            assert!(error.to_string().contains(told), "{error}");
        };
        check(listing(&good, "v2", Entry::Folder), "the locked revision is `v1`, and its source names `v2`");
        check(listing(&good[..1], "v1", Entry::Folder), "its source lists no `b`");
        let [_, b] = good.clone();
        check(
            listing(&[("a", 7, None), b.clone()], "v1", Entry::Folder),
            "`a` has 1 bytes, and its source lists 7",
        );
        check(
            listing(&[("a", 1, Some(digest(3))), b], "v1", Entry::Folder),
            "and its source lists sha256:0303",
        );
        let other = [good[0].clone(), good[1].clone(), ("c", 1, None)];
        check(listing(&other, "v1", Entry::File("c".parse().unwrap())), "an engine loads `c`");
    }
}
