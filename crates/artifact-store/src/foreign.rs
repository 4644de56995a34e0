//! Where other tools keep their files on this machine.
//!
//! ```text
//! <huggingface>/models--<org>--<repo>/blobs/<etag>    the SHA-256 of large files, git's id of small ones
//! <ollama>/blobs/sha256-<hex>
//! <folder>/…                                          plain files, found by their size, then by their name
//! ```

use std::{
    collections::HashMap,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provisioner_core::{AdoptMode, Digest, DigestAlgorithm, RelativePath};

use crate::Store;

/// How many files of the right size are read at the most, in search of one digest.
const MAX_CANDIDATES: usize = 4;

/// No more names than these are looked at in the plain folders.
const MAX_NAMES: usize = 100_000;

/// Nor are folders that lie deeper.
const MAX_DEPTH: usize = 16;

/// Where to look for files that need not be fetched, and how to take them in. The default looks nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// How they are taken in.
    pub mode: AdoptMode,
    /// Caches of the Hugging Face Hub's own tools: folders of `models--…`.
    pub huggingface: Vec<PathBuf>,
    /// Ollama's models: folders with `blobs` in them.
    pub ollama: Vec<PathBuf>,
    /// Folders of plain files.
    pub folders: Vec<PathBuf>,
}

/// What there is in those places, by one look.
#[derive(Debug, Default)]
pub struct Foreign {
    mode: AdoptMode,
    /// The device that links can be on.
    device: Option<u64>,
    hubs: Vec<PathBuf>,
    ollama: Vec<PathBuf>,
    plain: HashMap<u64, Vec<Candidate>>,
}

/// A file that may have the bytes that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it can be linked, as far as that can be told without trying.
    pub is_linkable: bool,
}

impl Store {
    /// Looks where files may lie that need not be fetched. Places that are not there, or cannot be read, have none.
    pub fn foreign(&self, adoption: &Adoption) -> Foreign {
        let Adoption { mode, huggingface, ollama, folders } = adoption;
        if *mode == AdoptMode::Off {
            return Foreign::default();
        }
        let is_model = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"models--"))
        };
        let hubs = huggingface.iter().flat_map(|cache| entries(cache)).filter(is_model);
        let device = self.root().ancestors().find_map(|above| Some(fs_err::metadata(above).ok()?.dev()));
        let mut walk = Walk { store: self.root(), names: 0, found: Vec::new() };
        for folder in folders {
            walk.enter(folder, 0);
        }
        let mut foreign = Foreign {
            mode: *mode,
            device,
            hubs: hubs.map(|model| model.join("blobs")).collect(),
            ollama: ollama.iter().map(|models| models.join("blobs")).collect(),
            plain: HashMap::new(),
        };
        for (path, size, device) in walk.found {
            let candidate = foreign.candidate(path, device);
            foreign.plain.entry(size).or_default().push(candidate);
        }
        foreign
    }
}

impl Foreign {
    /// The files that may have a digest, those first that say so by their name.
    pub fn candidates(&self, path: &RelativePath, size_bytes: u64, digest: &Digest) -> Vec<Candidate> {
        let hex = digest.hex();
        let by_etag = self.hubs.iter().map(|blobs| blobs.join(hex));
        let is_sha256 = digest.algorithm() == DigestAlgorithm::Sha256;
        let by_sha256 =
            self.ollama.iter().filter(|_| is_sha256).map(|blobs| blobs.join(format!("sha256-{hex}")));
        let named = by_etag.chain(by_sha256).filter_map(|path| {
            let metadata = fs_err::symlink_metadata(&path).ok()?;
            let fits = metadata.is_file() && metadata.len() == size_bytes;
            fits.then(|| self.candidate(path, metadata.dev()))
        });
        let mut found: Vec<_> = named.take(MAX_CANDIDATES).collect();
        let mut plain = self.plain.get(&size_bytes).cloned().unwrap_or_default();
        plain.sort_by_key(|candidate| candidate.path.file_name() != Some(path.file_name().as_ref()));
        found.extend(plain.into_iter().take(MAX_CANDIDATES));
        found
    }

    fn candidate(&self, path: PathBuf, device: u64) -> Candidate {
        Candidate { path, is_linkable: self.mode == AdoptMode::Link && self.device == Some(device) }
    }
}

/// A walk through plain folders.
struct Walk<'a> {
    /// Our own files are nothing to adopt.
    store: &'a Path,
    names: usize,
    found: Vec<(PathBuf, u64, u64)>,
}

impl Walk<'_> {
    fn enter(&mut self, folder: &Path, depth: usize) {
        if depth > MAX_DEPTH || folder == self.store {
            return;
        }
        for path in entries(folder) {
            self.names += 1;
            if self.names == MAX_NAMES {
                tracing::warn!("only the first {MAX_NAMES} names, up to `{}`, are looked at", path.display());
            }
            let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if self.names >= MAX_NAMES || is_hidden {
                continue;
            }
            match fs_err::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.enter(&path, depth + 1),
                Ok(metadata) if metadata.is_file() => self.found.push((path, metadata.len(), metadata.dev())),
                _ => {}
            }
        }
    }
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs_err::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut paths = listed.unwrap_or_else(|error| {
        tracing::debug!("nothing to adopt: {error}");
        Vec::new()
    });
    paths.sort_unstable();
    paths
}
