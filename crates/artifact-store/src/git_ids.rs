//! Files that a source lists by git's id alone, found in the store.
//!
//! # Model
//! A blob's name is its SHA-256, and a hub gives that of its large files only. Of a small one there is the path, the size
//! and git's id. What has that path and size in the same selection at another revision may be it; so may what was to have it
//! in this very view, when its making was cut off: that left the draft of a seal. Both are hints: the bytes are read, and
//! count when they have git's id.

use std::collections::{BTreeSet, HashMap};

use provisioner_core::{Digest, DigestAlgorithm, ManifestFile, RelativePath};

use crate::{
    Blob, Result, Store, git_id,
    scan::entries,
    view::{read_draft, read_seal},
};

/// What a store knows of the files of a view that is to be made.
#[derive(Debug)]
pub struct GitIdIndex<'a> {
    store: &'a Store,
    /// The SHA-256 of what has a path and a size.
    files: HashMap<(RelativePath, u64), BTreeSet<Digest>>,
}

impl Store {
    /// What is known of the files of a view that is to be made there.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn git_ids(&self, view: &RelativePath) -> Result<GitIdIndex<'_>> {
        let root = self.view(view);
        // Both are hints, and one that cannot be read is none.
        let mut records: Vec<_> =
            self.unfinished(&root)?.iter().filter_map(|aside| read_draft(aside).ok()?).collect();
        // A view is called by its selection, in the folder of its revision, in the folder of its source.
        if let (Some(selection), Some(source)) = (root.file_name(), root.ancestors().nth(2)) {
            let revisions = entries(source)?;
            records
                .extend(revisions.iter().filter_map(|revision| read_seal(&revision.join(selection)).ok()?));
        }
        let mut files: HashMap<_, BTreeSet<_>> = HashMap::new();
        for file in records.into_iter().flat_map(|record| record.files) {
            files.entry((file.path, file.stamp.size)).or_default().extend(file.sha256);
        }
        Ok(GitIdIndex { store: self, files })
    }
}

impl GitIdIndex<'_> {
    /// The blob of a listed file, by the digest that is listed, if the store has it and its bytes are still those.
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
            // What cannot be read is no hint, and the file can be fetched.
            self.proven(sha256, file.size, id).unwrap_or_else(|error| {
                tracing::debug!("a blob of `{}` is passed over: {error}", file.path);
                None
            })
        })
    }

    /// A blob whose bytes have git's id.
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
    use crate::view::tests::Bench;

    const ID: &str = "hf:org/repo";
    const VIEW: &str = "hf/org/repo/def/all";

    /// Whether the store finds a file that a hub lists so.
    fn finds(bench: &Bench, path: &str, text: &str) -> bool {
        let id = Sha1::new().chain_update(format!("blob {}\0{text}", text.len())).finalize();
        let file = ManifestFile {
            path: RelativePath::new(path).unwrap(),
            size: text.len() as u64,
            digest: Some(Digest::git_sha1(id.into())),
            locator: Locator::Stored,
        };
        let known = bench.store.git_ids(&RelativePath::new(VIEW).unwrap()).unwrap();
        let found = known.blob(&file).unwrap();
        assert!(found.iter().all(|blob| fs_err::read(&blob.path).unwrap() == text.as_bytes()), "other bytes");
        found.is_some()
    }

    fn partials(bench: &Bench) -> usize {
        bench.store.partial_folders().unwrap().len()
    }

    #[test]
    fn what_another_revision_has_is_found_and_read() {
        let bench = Bench::new();
        assert!(!finds(&bench, "a.json", "one"));
        let record: CatalogRecord = bench.commit(&bench.model(ID, "abc", &[("a.json", "one")]));
        assert!(finds(&bench, "a.json", "one"));
        assert!(!finds(&bench, "a.json", "two"), "a path and a size are a hint");
        assert!(!finds(&bench, "b.json", "one"));
        let blob = bench.store.blob_path(record.files[0].sha256.as_ref().unwrap());
        fs_err::remove_file(&blob).unwrap();
        fs_err::write(&blob, "two").unwrap();
        assert!(!finds(&bench, "a.json", "two"), "nor is the seal more than that");
        fs_err::create_dir_all(blob.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &blob).unwrap();
        assert!(!finds(&bench, "a.json", "one"), "what is refused is passed over");
    }

    #[test]
    fn what_a_commit_that_was_cut_off_has_put_in_is_found() {
        let bench = Bench::new();
        let model = || bench.model(ID, "def", &[("a.json", "one"), ("b.json", "two")]);
        let obstacle = bench.store.models().join("hf/org/repo/def");
        durable_fs::create_folders(obstacle.parent().unwrap()).unwrap();
        fs_err::write(&obstacle, "").unwrap();
        bench.store.commit(&model(), provisioner_core::Timestamp::UNIX_EPOCH).unwrap_err();
        bench.store.sweep().unwrap();
        assert!(finds(&bench, "a.json", "one") && finds(&bench, "b.json", "two"));
        assert_eq!(partials(&bench), 1);
        let built = bench.store.unfinished(&obstacle.join("all")).unwrap();
        let left = crate::scan::entries(&built[0]).unwrap();
        assert!(left.len() == 1 && left[0].ends_with(".model.json"), "nothing holds the blobs: {left:?}");
        fs_err::remove_file(&obstacle).unwrap();
        bench.commit(&model());
        assert_eq!(partials(&bench), 0, "the next commit takes it over");
    }
}
