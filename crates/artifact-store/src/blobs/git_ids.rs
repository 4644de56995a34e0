//! Finds files in the store that a source lists by git's id alone.
//!
//! # Model
//! A blob's name is its SHA-256, and a hub gives that of its large files only. Of a small file it gives the path, the size
//! and git's id. A file of that path and size in the same selection at another revision may be the one. So may a file of
//! this very view, where a process died while it made the view and left the draft of a seal. Both are hints: the store reads
//! the bytes, and they count when they have git's id.

use std::collections::{BTreeSet, HashMap};

use durable_fs::entries;
use file_hashing::git_id;
use provisioner_core::{Digest, DigestAlgorithm, ManifestFile, RelativePath};

use crate::{
    blobs::blob::Blob,
    error::Result,
    layout::Store,
    views::seal::{read_draft, read_seal},
};

/// Finds the blobs of files of a new view, by git's id.
#[derive(Debug)]
pub struct GitIdIndex<'a> {
    store: &'a Store,
    /// The SHA-256 of each file that has a path and a size.
    files: HashMap<(RelativePath, u64), BTreeSet<Digest>>,
}

impl Store {
    /// Returns the index for a view that the caller is about to make.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn git_ids(&self, view: &RelativePath) -> Result<GitIdIndex<'_>> {
        let root = self.view(view);
        // Both are hints, and a hint that this process cannot read does not count.
        let mut records: Vec<_> =
            self.unfinished(&root)?.iter().filter_map(|aside| read_draft(aside).ok()?).collect();
        // A view has the name of its selection, in the folder of its revision, in the folder of its source.
        if let (Some(selection), Some(source)) = (root.file_name(), root.ancestors().nth(2)) {
            let revisions = entries(source)?;
            records
                .extend(revisions.iter().filter_map(|revision| read_seal(&revision.join(selection)).ok()?));
        }
        let mut files: HashMap<_, BTreeSet<_>> = HashMap::new();
        for file in records.iter().flat_map(|record| record.files.iter()) {
            files.entry((file.path.clone(), file.stamp.size)).or_default().extend(file.sha256.clone());
        }
        Ok(GitIdIndex { store: self, files })
    }
}

impl GitIdIndex<'_> {
    /// Returns the blob of a listed file, by its listed digest, if the store has it and its bytes are still those.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn blob(&self, file: &ManifestFile) -> Result<Option<Blob>> {
        let Some(digest) = &file.digest else { return Ok(None) };
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => self.store.blob(digest),
            DigestAlgorithm::GitSha1 => Ok(self.with_git_id(file, digest)),
            DigestAlgorithm::Sha256Tree => Ok(None),
        }
    }

    fn with_git_id(&self, file: &ManifestFile, id: &Digest) -> Option<Blob> {
        let candidates = self.files.get(&(file.path.clone(), file.size))?;
        candidates.iter().find_map(|sha256| {
            // A blob that this process cannot read is not a hint, and the caller can fetch the file.
            self.proven(sha256, file.size, id).unwrap_or_else(|error| {
                tracing::debug!("a blob of `{}` is passed over: {error}", file.path);
                None
            })
        })
    }

    /// Returns a blob whose bytes have git's id, after reading them.
    fn proven(&self, sha256: &Digest, size: u64, id: &Digest) -> Result<Option<Blob>> {
        let blob = self.store.blob(sha256)?.filter(|blob| blob.stamp.size == size);
        let Some(blob) = blob else { return Ok(None) };
        let is_it = git_id(&blob.path, Some(sha256))?.as_ref() == Some(id);
        Ok(is_it.then_some(blob))
    }
}

#[cfg(test)]
mod tests {
    use provisioner_core::{CatalogRecord, Locator};
    use sha1::{Digest as _, Sha1};

    use super::*;
    use crate::fixture::Fixture;

    const ID: &str = "hf:org/repo";
    const VIEW: &str = "hf/org/repo/def/all";

    /// Returns whether the store finds a file that a hub lists by these.
    fn finds(fixture: &Fixture, path: &str, text: &str) -> bool {
        let id = Sha1::new().chain_update(format!("blob {}\0{text}", text.len())).finalize();
        let file = ManifestFile {
            path: RelativePath::new(path).unwrap(),
            size: text.len() as u64,
            digest: Some(Digest::git_sha1(id.into())),
            locator: Locator::Stored,
        };
        let index = fixture.store.git_ids(&RelativePath::new(VIEW).unwrap()).unwrap();
        let found = index.blob(&file).unwrap();
        assert!(found.iter().all(|blob| fs_err::read(&blob.path).unwrap() == text.as_bytes()), "other bytes");
        found.is_some()
    }

    fn partials(fixture: &Fixture) -> usize {
        fixture.store.partial_folders().unwrap().len()
    }

    #[test]
    fn what_another_revision_has_is_found_and_read() {
        let fixture = Fixture::new();
        assert!(!finds(&fixture, "a.json", "one"));
        let record: CatalogRecord = fixture.commit(&fixture.model(ID, "abc", &[("a.json", "one")]));
        assert!(finds(&fixture, "a.json", "one"));
        assert!(!finds(&fixture, "a.json", "two"), "a path and a size are a hint");
        assert!(!finds(&fixture, "b.json", "one"));
        let blob = fixture.store.blob_path(record.files[0].sha256.as_ref().unwrap());
        fs_err::remove_file(&blob).unwrap();
        fs_err::write(&blob, "two").unwrap();
        assert!(!finds(&fixture, "a.json", "two"), "nor is the seal more than that");
        fs_err::create_dir_all(blob.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &blob).unwrap();
        assert!(!finds(&fixture, "a.json", "one"), "what is refused is passed over");
    }

    #[test]
    fn what_a_commit_that_was_cut_off_has_put_in_is_found() {
        let fixture = Fixture::new();
        let model = || fixture.model(ID, "def", &[("a.json", "one"), ("b.json", "two")]);
        let obstacle = fixture.store.models().join("hf/org/repo/def");
        durable_fs::create_folders(obstacle.parent().unwrap()).unwrap();
        fs_err::write(&obstacle, "").unwrap();
        fixture.try_commit(&model()).unwrap_err();
        fixture.store.sweep().unwrap();
        assert!(finds(&fixture, "a.json", "one") && finds(&fixture, "b.json", "two"));
        assert_eq!(partials(&fixture), 1);
        let built = fixture.store.unfinished(&obstacle.join("all")).unwrap();
        let left = entries(&built[0]).unwrap();
        assert!(left.len() == 1 && left[0].ends_with(".model.json"), "nothing holds the blobs: {left:?}");
        fs_err::remove_file(&obstacle).unwrap();
        fixture.commit(&model());
        assert_eq!(partials(&fixture), 0, "the next commit takes it over");
    }
}
