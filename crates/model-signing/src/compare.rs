//! Compares the files of a model with those that a signer names.

use std::{collections::BTreeSet, io};

use provisioner_core::Digest;
use sha2::{Digest as _, Sha256};

use crate::{
    hash::{HashAlgorithm, Hasher},
    statement::{ONLY_FILE, Piece, SignedDigest, SignedFile, SignedFiles},
};

/// Paths at the top of a model that no signer has to name, for they belong to git.
const IGNORED: [&str; 4] = [".git", ".gitignore", ".gitattributes", ".github"];

/// Describes a file of a model, for a comparison.
#[derive(Clone, Copy, Debug)]
pub struct FoundFile<'a> {
    /// The path of the file in the model, with `/` between components.
    pub path: &'a str,
    /// The size of the file, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the bytes, where it is known.
    pub sha256: Option<&'a Digest>,
}

/// Reads the bytes of a file: it gives them, in pieces and in order, to a function.
pub type ReadBytes<'a> = dyn FnMut(&str, &mut dyn FnMut(&[u8])) -> io::Result<()> + 'a;

/// Says how the files of a model differ from those that a signer names. Each list has paths in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The files with other bytes than the signer signed.
    pub changed: Vec<String>,
    /// The files that the signer does not name.
    pub unsigned: Vec<String>,
    /// The files that the signer left out by intent.
    pub ignored: Vec<String>,
    /// The files that the signer names, and that the model does not have.
    pub absent: Vec<String>,
    /// Files of `unsigned` with the bytes of one of `absent`: their path, and the signed one.
    pub renamed: Vec<(String, String)>,
}

impl SignedFiles {
    /// Compares the files of a model with the signed ones. `read` gives the bytes of a file whose SHA-256 is not what the signer
    /// signed; without it, the comparison passes over such files.
    ///
    /// # Errors
    /// What keeps `read` from reading a file; a file whose SHA-256 is another one by then.
    pub fn compare(
        &self,
        files: &[FoundFile<'_>],
        mut read: Option<&mut ReadBytes<'_>>,
    ) -> io::Result<Comparison> {
        let mut comparison = Comparison::default();
        let mut covered = BTreeSet::new();
        let only = self.only(files);
        for file in files {
            let name = if only == Some(file.path) { ONLY_FILE } else { file.path };
            let Some((name, signed)) = self.files.get_key_value(name) else {
                if file.size_bytes == 0 && self.omits_empty {
                    continue;
                }
                let list =
                    if self.ignores(file.path) { &mut comparison.ignored } else { &mut comparison.unsigned };
                list.push(file.path.to_owned());
                continue;
            };
            covered.insert(name.as_str());
            if !signed.is_of(file, &mut read)? {
                comparison.changed.push(file.path.to_owned());
            }
        }
        let absent = self.files.keys().filter(|name| !covered.contains(name.as_str()));
        comparison.absent = absent.cloned().collect();
        comparison.renamed = self.renamed(files, &comparison);
        for list in [&mut comparison.changed, &mut comparison.unsigned, &mut comparison.ignored] {
            list.sort_unstable();
        }
        Ok(comparison)
    }

    /// Returns the path of the file that the signer signed alone, without a name.
    fn only<'a>(&self, files: &[FoundFile<'a>]) -> Option<&'a str> {
        let signed = self.files.get(ONLY_FILE)?;
        match files {
            [file] => Some(file.path),
            _ => files.iter().find(|file| signed.has_sha256(file) == Some(true)).map(|file| file.path),
        }
    }

    fn ignores(&self, path: &str) -> bool {
        let is_within = |folder: &str| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        IGNORED.into_iter().chain(self.ignored.iter().map(String::as_str)).any(is_within)
    }

    /// Finds the files that have the bytes of another, absent one.
    fn renamed(&self, files: &[FoundFile<'_>], comparison: &Comparison) -> Vec<(String, String)> {
        let mut renamed = Vec::new();
        for file in files.iter().filter(|file| comparison.unsigned.iter().any(|path| path == file.path)) {
            let has_bytes = |name: &&String| {
                self.files.get(*name).is_some_and(|signed| signed.has_sha256(file) == Some(true))
            };
            if let Some(name) = comparison.absent.iter().find(has_bytes) {
                renamed.push((file.path.to_owned(), name.clone()));
            }
        }
        renamed
    }
}

impl SignedFile {
    /// Returns whether a file has the signed SHA-256; `None` where the signer signed another digest, or it is not known.
    fn has_sha256(&self, file: &FoundFile<'_>) -> Option<bool> {
        let (SignedDigest::Whole(signed), HashAlgorithm::Sha256) = (&self.digest, self.algorithm) else {
            return None;
        };
        Some(file.sha256?.sha256_bytes().is_some_and(|found| *signed == found))
    }

    /// Returns whether a file is the signed one, as far as its bytes can be read.
    fn is_of(&self, file: &FoundFile<'_>, read: &mut Option<&mut ReadBytes<'_>>) -> io::Result<bool> {
        if let Some(same) = self.has_sha256(file) {
            return Ok(same);
        }
        if let SignedDigest::Pieces(pieces) = &self.digest
            && pieces.last().is_none_or(|last| last.end != file.size_bytes)
        {
            return Ok(false);
        }
        let Some(read) = read else { return Ok(true) };
        let whole = [Piece { begin: 0, end: u64::MAX, digest: Vec::new() }];
        let ends: Vec<_> = match &self.digest {
            SignedDigest::Pieces(pieces) => pieces.iter().map(|piece| piece.end).collect(),
            SignedDigest::Whole(_) => whole.iter().map(|piece| piece.end).collect(),
        };
        let mut hashing = Hashing::new(self.algorithm, &ends);
        read(file.path, &mut |bytes| hashing.update(bytes))?;
        let (digests, sha256) = hashing.finish();
        if file.sha256.is_some_and(|known| *known != sha256) {
            return Err(io::Error::other(format!(
                "another process changed `{}` while it was read",
                file.path
            )));
        }
        Ok(match &self.digest {
            SignedDigest::Whole(digest) => digests.first() == Some(digest),
            SignedDigest::Pieces(pieces) => digests.iter().eq(pieces.iter().map(|piece| &piece.digest)),
        })
    }
}

/// Hashes a file as a whole with SHA-256, and each of its pieces as the signer did.
struct Hashing<'a> {
    algorithm: HashAlgorithm,
    ends: &'a [u64],
    at: u64,
    piece: Option<Hasher>,
    digests: Vec<Vec<u8>>,
    whole: Sha256,
}

impl<'a> Hashing<'a> {
    fn new(algorithm: HashAlgorithm, ends: &'a [u64]) -> Self {
        let (piece, digests) = (Some(algorithm.hasher()), Vec::new());
        Self { algorithm, ends, at: 0, piece, digests, whole: Sha256::default() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let end = self.ends.get(self.digests.len()).copied().unwrap_or(u64::MAX);
            let room = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.piece.get_or_insert_with(|| self.algorithm.hasher()).update(now);
            self.at = self.at.saturating_add(now.len() as u64);
            if self.at == end {
                self.digests.extend(self.piece.take().map(Hasher::finish));
            }
            bytes = later;
        }
    }

    /// Returns the digests of the pieces, and the SHA-256 of the file.
    fn finish(mut self) -> (Vec<Vec<u8>>, Digest) {
        if self.digests.len() < self.ends.len() {
            self.digests.extend(self.piece.take().map(Hasher::finish));
        }
        (self.digests, Digest::sha256(self.whole.finalize().into()))
    }
}

#[cfg(test)]
mod tests;
