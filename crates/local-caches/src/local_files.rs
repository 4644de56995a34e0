//! Lists the files that one look finds.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provisioner_core::{AdoptMode, Digest, ModelRef, RelativePath};

use crate::{
    adoption::Adoption, blob_folder::BlobFolder, docker, folders::Walk, huggingface, ollama, ramalama,
};

/// The largest number of files of the right size that are returned, for one digest and each way to find them.
const MAX_CANDIDATES: usize = 4;

/// Holds what other tools keep on this machine, by one look.
#[derive(Debug, Default)]
pub struct LocalFiles {
    mode: AdoptMode,
    /// The number of the device on which the store can make links.
    device: Option<u64>,
    blob_folders: Vec<BlobFolder>,
    /// The snapshots of the model's repository, which may hold the files themselves.
    snapshots: Vec<PathBuf>,
    /// The plain files, by their size in bytes.
    plain: HashMap<u64, Vec<Candidate>>,
}

/// Describes a file that may have the bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The path of the file.
    pub path: PathBuf,
    /// Why the file may have the bytes.
    pub reason: CandidateReason,
    /// Says whether the store can link the file, as far as this crate can tell without a try.
    pub is_linkable: bool,
}

/// Says why a file may have the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CandidateReason {
    /// Another tool named the file by the digest.
    NamedByDigest,
    /// The file lies in a snapshot of the model's repository, at its path in the model.
    InSnapshot,
    /// The file has the right size.
    SameSize,
}

impl LocalFiles {
    /// Looks for files of a model that need not be fetched. A folder that does not exist, or that this process cannot read,
    /// has none.
    ///
    /// `own` is the folder into which the caller takes them. The look leaves it out, and links can be made on its device
    /// alone.
    pub fn find(adoption: &Adoption, reference: &ModelRef, own: &Path) -> Self {
        if adoption.mode == AdoptMode::Off {
            return Self::default();
        }
        let snapshots =
            adoption.huggingface.iter().flat_map(|cache| huggingface::snapshots(cache, reference));
        let mut files = Self {
            mode: adoption.mode,
            device: own.ancestors().find_map(|above| Some(fs_err::metadata(above).ok()?.dev())),
            blob_folders: blob_folders(adoption),
            snapshots: snapshots.collect(),
            plain: HashMap::new(),
        };
        for found in Walk::through(&adoption.folders, own) {
            let candidate = files.candidate(found.path, found.device, CandidateReason::SameSize);
            files.plain.entry(found.size_bytes).or_default().push(candidate);
        }
        files
    }

    /// Returns the files that may have a digest. The files whose name says so come first. `size_bytes` is the size of the
    /// file.
    pub fn candidates(&self, path: &RelativePath, size_bytes: u64, digest: &Digest) -> Vec<Candidate> {
        let named = self.blob_folders.iter().filter_map(|folder| folder.path_of(digest));
        let named = named.filter_map(|path| self.at(path, size_bytes, CandidateReason::NamedByDigest));
        let in_snapshots = self
            .snapshots
            .iter()
            .filter_map(|snapshot| self.at(snapshot.join(path), size_bytes, CandidateReason::InSnapshot));
        let mut found: Vec<_> = named.chain(in_snapshots).take(MAX_CANDIDATES).collect();
        let mut plain = self.plain.get(&size_bytes).cloned().unwrap_or_default();
        plain.sort_by_key(|candidate| candidate.path.file_name() != Some(path.file_name().as_ref()));
        plain.retain(|candidate| found.iter().all(|named| named.path != candidate.path));
        found.extend(plain.into_iter().take(MAX_CANDIDATES));
        found
    }

    /// Returns the regular file at a path, where it has that size.
    fn at(&self, path: PathBuf, size_bytes: u64, reason: CandidateReason) -> Option<Candidate> {
        let metadata = fs_err::symlink_metadata(&path).ok()?;
        let fits = metadata.is_file() && metadata.len() == size_bytes;
        fits.then(|| self.candidate(path, metadata.dev(), reason))
    }

    fn candidate(&self, path: PathBuf, device: u64, reason: CandidateReason) -> Candidate {
        let is_linkable = self.mode == AdoptMode::Link && self.device == Some(device);
        Candidate { path, reason, is_linkable }
    }
}

/// Returns the folders that name their files by their digests.
fn blob_folders(adoption: &Adoption) -> Vec<BlobFolder> {
    let huggingface = adoption.huggingface.iter().flat_map(|cache| huggingface::blob_folders(cache));
    let ollama = adoption.ollama.iter().flat_map(|models| ollama::blob_folders(models));
    let docker = adoption.docker.iter().flat_map(|models| docker::blob_folders(models));
    let ramalama = adoption.ramalama.iter().flat_map(|root| ramalama::blob_folders(root));
    huggingface.chain(ollama).chain(docker).chain(ramalama).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_finding_a_file_has_its_reason_and_no_file_is_named_twice() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::sha256([7; 32]);
        let write = |path: &str| {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "bytes").unwrap();
        };
        write(&format!("ollama/blobs/sha256-{}", digest.hex()));
        write("hub/models--org--repo/snapshots/abc/a.gguf");
        write("plain/b.gguf");
        write("plain/a.gguf");
        write("plain/a.gguf.part");
        write("plain/own/a.gguf");
        let at = |path: &str| dir.path().join(path);
        let adoption = Adoption {
            mode: AdoptMode::Copy,
            huggingface: vec![at("hub")],
            ollama: vec![at("ollama")],
            folders: vec![at("plain"), at("ollama")],
            ..Adoption::default()
        };
        let reference: ModelRef = "hf:org/repo/a.gguf".parse().unwrap();
        let files = LocalFiles::find(&adoption, &reference, &at("plain/own"));
        let path = RelativePath::new("a.gguf").unwrap();
        let found = files.candidates(&path, 5, &digest);
        let told: Vec<_> = found.iter().map(|one| (one.reason, one.path.file_name().unwrap())).collect();
        let blob = format!("sha256-{}", digest.hex());
        assert_eq!(
            told,
            [
                (CandidateReason::NamedByDigest, blob.as_ref()),
                (CandidateReason::InSnapshot, "a.gguf".as_ref()),
                (CandidateReason::SameSize, "a.gguf".as_ref()),
                (CandidateReason::SameSize, "b.gguf".as_ref()),
            ]
        );
        assert!(found.iter().all(|one| !one.is_linkable), "the caller wants copies");
        assert!(files.candidates(&path, 6, &digest).is_empty());
    }
}
