//! Where other tools keep their files on this machine.
//!
//! ```text
//! <huggingface>/models--<org>--<repo>/blobs/<etag>    the SHA-256 of large files, git's id of small ones; or a link to
//! <huggingface>/blobs/<2 hex>/<xet hash>              what came through Xet, once for all repositories
//! <huggingface>/models--<org>--<repo>/snapshots/<commit>/PATH    the file itself, where there are no symlinks
//! <ollama>/blobs/sha256-<hex>
//! <docker>/blobs/sha256/<hex>                         Docker Model Runner
//! <ramalama>/store/<kind>/<org>/<name>/blobs/sha256-<hex>
//! <folder>/…                                          plain files, found by their size, then by their name
//! ```
//!
//! A symlink among blobs is followed where it stays inside its cache. One that leads out is passed over, and so is a file
//! that its name says is not finished.

use std::{
    collections::HashMap,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provisioner_core::{AdoptMode, Digest, DigestAlgorithm, ModelRef, RelativePath, reference::RepoRef};

use crate::{Store, beneath};

/// How many files of the right size are read at the most, in search of one digest.
const MAX_CANDIDATES: usize = 4;

/// No more names than these are looked at in the plain folders.
const MAX_NAMES: usize = 100_000;

/// Nor are folders that lie deeper.
const MAX_DEPTH: usize = 16;

/// How deep below its `store` RamaLama keeps the folder of a model's blobs: kind, organisation, name, `blobs`.
const RAMALAMA_DEPTH: usize = 4;

/// How the names of files end that another tool has not finished.
const UNFINISHED: [&str; 7] =
    [".incomplete", ".partial", "-partial", ".part", ".tmp", ".downloadInProgress", ".parallel_tmp"];

/// Where to look for files that need not be fetched, and how to take them in. The default looks nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// How they are taken in.
    pub mode: AdoptMode,
    /// Caches of the Hugging Face Hub's own tools: folders of `models--…`.
    pub huggingface: Vec<PathBuf>,
    /// Ollama's models: folders with `blobs` in them.
    pub ollama: Vec<PathBuf>,
    /// Docker Model Runner's models: folders with `blobs/sha256` in them.
    pub docker: Vec<PathBuf>,
    /// RamaLama's models: folders with a `store` in them.
    pub ramalama: Vec<PathBuf>,
    /// Folders of plain files.
    pub folders: Vec<PathBuf>,
}

/// What there is in those places, by one look.
#[derive(Debug, Default)]
pub struct Foreign {
    mode: AdoptMode,
    /// The device that links can be on.
    device: Option<u64>,
    blobs: Vec<Blobs>,
    /// Snapshots of the model's repository, which may hold the files themselves.
    snapshots: Vec<PathBuf>,
    plain: HashMap<u64, Vec<Candidate>>,
}

/// A folder whose files are named by their digests.
#[derive(Debug)]
struct Blobs {
    /// The cache that the folder belongs to: links stay inside.
    cache: PathBuf,
    folder: PathBuf,
    /// What stands before the digest in a name.
    prefix: &'static str,
    /// Whether small files are named by git's id.
    has_git_ids: bool,
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
    /// Looks where files of a model may lie that need not be fetched. Places that are not there, or cannot be read, have none.
    pub fn foreign(&self, adoption: &Adoption, reference: &ModelRef) -> Foreign {
        if adoption.mode == AdoptMode::Off {
            return Foreign::default();
        }
        let mut walk = Walk { store: self.root(), names: 0, found: Vec::new() };
        for folder in &adoption.folders {
            walk.enter(folder, 0);
        }
        let mut foreign = Foreign {
            mode: adoption.mode,
            device: self.root().ancestors().find_map(|above| Some(fs_err::metadata(above).ok()?.dev())),
            blobs: adoption.blobs(),
            snapshots: adoption.snapshots(reference),
            plain: HashMap::new(),
        };
        for (path, size, device) in walk.found {
            let candidate = foreign.candidate(path, device);
            foreign.plain.entry(size).or_default().push(candidate);
        }
        foreign
    }
}

impl Adoption {
    /// The folders whose files are named by their digests.
    fn blobs(&self) -> Vec<Blobs> {
        let of = |cache: &Path, folder: PathBuf, prefix, has_git_ids| Blobs {
            cache: cache.to_owned(),
            folder,
            prefix,
            has_git_ids,
        };
        let is_model = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"models--"))
        };
        let hubs = self.huggingface.iter().flat_map(|cache| {
            let models = entries(cache).into_iter().filter(is_model);
            models.map(|model| of(cache, model.join("blobs"), "", true))
        });
        let ollama = self.ollama.iter().map(|models| of(models, models.join("blobs"), "sha256-", false));
        let docker = self.docker.iter().map(|models| of(models, models.join("blobs/sha256"), "", false));
        let ramalama = self.ramalama.iter().flat_map(|root| {
            let mut folders = vec![root.join("store")];
            for _ in 0..RAMALAMA_DEPTH {
                folders = folders.iter().flat_map(|folder| entries(folder)).collect();
            }
            let blobs = folders.into_iter().filter(|folder| folder.ends_with("blobs"));
            blobs.map(|folder| of(root, folder, "sha256-", false))
        });
        hubs.chain(ollama).chain(docker).chain(ramalama).collect()
    }

    /// The snapshots of a model's repository in the Hub's caches.
    fn snapshots(&self, reference: &ModelRef) -> Vec<PathBuf> {
        let Some(folder) = reference.repository().and_then(RepoRef::hub_cache_folder) else {
            return Vec::new();
        };
        let models = self.huggingface.iter().map(|cache| cache.join(&folder));
        models.flat_map(|model| entries(&model.join("snapshots"))).collect()
    }
}

impl Foreign {
    /// The files that may have a digest, those first that say so by their name.
    pub fn candidates(&self, path: &RelativePath, size_bytes: u64, digest: &Digest) -> Vec<Candidate> {
        let is_sha256 = digest.algorithm() == DigestAlgorithm::Sha256;
        let named = self.blobs.iter().filter(|blobs| is_sha256 || blobs.has_git_ids);
        let named = named.filter_map(|blobs| self.at(&blobs.path_of(digest)?, size_bytes));
        let in_snapshots =
            self.snapshots.iter().filter_map(|snapshot| self.at(&snapshot.join(path), size_bytes));
        let mut found: Vec<_> = named.chain(in_snapshots).take(MAX_CANDIDATES).collect();
        let mut plain = self.plain.get(&size_bytes).cloned().unwrap_or_default();
        plain.sort_by_key(|candidate| candidate.path.file_name() != Some(path.file_name().as_ref()));
        plain.retain(|candidate| !found.contains(candidate));
        found.extend(plain.into_iter().take(MAX_CANDIDATES));
        found
    }

    /// The regular file at a path, where it has that size.
    fn at(&self, path: &Path, size_bytes: u64) -> Option<Candidate> {
        let metadata = fs_err::symlink_metadata(path).ok()?;
        let fits = metadata.is_file() && metadata.len() == size_bytes;
        fits.then(|| self.candidate(path.to_owned(), metadata.dev()))
    }

    fn candidate(&self, path: PathBuf, device: u64) -> Candidate {
        Candidate { path, is_linkable: self.mode == AdoptMode::Link && self.device == Some(device) }
    }
}

impl Blobs {
    /// Where the file with a digest would lie; for a link inside the cache, where that leads.
    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.folder.join(format!("{}{}", self.prefix, digest.hex()));
        if !fs_err::symlink_metadata(&path).ok()?.is_symlink() {
            return Some(path);
        }
        let target = beneath::resolve(&self.cache, &path);
        if target.is_none() {
            tracing::debug!("`{}` is not adopted: it leads out of its cache, or nowhere", path.display());
        }
        target
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
            if self.names >= MAX_NAMES || is_passed_over(&path) {
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

/// Whether a name says that the file is hidden, or not finished.
fn is_passed_over(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || UNFINISHED.iter().any(|ending| name.ends_with(ending.as_bytes()))
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
