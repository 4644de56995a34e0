//! A foreign source with repositories of several files, and without revisions.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use model_provisioner::{
    ByteRange, Bytes, Digest, Entry, FetchError, FetchErrorKind, Locator, Manifest, ManifestFile,
    ModelFetcher, ModelProvisioner, ModelRef, Opened, RelativePath, RemoteFile, ResolveRequest, async_trait,
    reference::RepoTarget,
};
use sha2::{Digest as _, Sha256};

use crate::fixture::Foreign;

/// Keeps the files of one repository in memory, and names no revision of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    pub(crate) opened: Arc<AtomicUsize>,
    /// Whether it lists the digests of its files.
    pub(crate) has_digests: bool,
    /// Whether every text of its scheme is a repository.
    pub(crate) has_repositories: bool,
}

impl Shelf {
    /// Puts a file there, in the place of another one of its name.
    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// Returns how often a file was opened since this was last asked.
    pub(crate) fn take_opened(&self) -> usize {
        self.opened.swap(0, Ordering::SeqCst)
    }

    /// Returns a provisioner of a cache and this source.
    pub(crate) fn provisioner(&self, foreign: &Foreign, cache: &str) -> ModelProvisioner {
        ModelProvisioner::builder(foreign.path(cache)).fetcher(self.clone()).build().unwrap()
    }

    fn choose(&self, reference: &ModelRef) -> Result<(Vec<ManifestFile>, Entry), FetchError> {
        let fail = |kind| FetchError::new(kind, format!("`{reference}` is not one model"));
        let repo = reference.repository().ok_or_else(|| fail(FetchErrorKind::Unsupported))?;
        let is_chosen = |path: &str| match repo.target() {
            RepoTarget::Path(wanted) => path
                .strip_prefix(wanted.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            RepoTarget::Quantization(wanted) => path.contains(wanted),
            RepoTarget::Repository(_) => true,
        };
        let files = self.files.lock().unwrap();
        let chosen: Vec<_> = files.iter().filter(|(path, _)| is_chosen(path)).collect();
        let listed = chosen.iter().map(|(path, bytes)| ManifestFile {
            path: RelativePath::new(path.as_str()).unwrap(),
            size: bytes.len() as u64,
            digest: self.has_digests.then(|| Digest::sha256(Sha256::digest(bytes).into())),
            locator: Locator::Streamed(RemoteFile::new("shelf").with_state(Bytes::clone(bytes))),
        });
        let listed: Vec<_> = listed.collect();
        match (repo.target(), listed.as_slice()) {
            (_, []) => Err(fail(FetchErrorKind::NotFound)),
            (RepoTarget::Repository(selection), _) if !selection.is_empty() => Ok((listed, Entry::Folder)),
            (RepoTarget::Path(wanted), [first, ..]) if first.path != *wanted => {
                Ok((listed, Entry::Subfolder(wanted.clone())))
            }
            (_, [one]) => Ok((vec![one.clone()], Entry::File(one.path.clone()))),
            _ => Err(fail(FetchErrorKind::Ambiguous)),
        }
    }
}

#[async_trait]
impl ModelFetcher for Shelf {
    fn schemes(&self) -> &'static [&'static str] {
        &["shelf"]
    }

    fn uses_network(&self) -> bool {
        false
    }

    fn has_repositories(&self) -> bool {
        self.has_repositories
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let (files, entry) = self.choose(&request.reference)?;
        Ok(Manifest::new(request.reference.clone(), files, entry).unwrap())
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let Locator::Streamed(remote) = &file.locator else { panic!("{file:?}") };
        let bytes = remote.state::<Bytes>().unwrap();
        Opened::of_bytes(bytes, range)
    }
}
