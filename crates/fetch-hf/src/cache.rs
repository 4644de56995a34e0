//! Reads what the Hub's own tools keep of its listings on this machine: enough to resolve a reference without a network.
//!
//! ```text
//! <cache>/models--<org>--<repo>/
//!   refs/<revision>              the commit that a branch or tag named when the Hub was last asked
//!   trees/<commit>.json          all files of a commit, with their digests
//!   snapshots/<commit>/PATH      a link to `blobs/<digest>`, for each file that was downloaded
//! ```
//!
//! # Whole and partial listings
//! Only `trees` lists a repository. Older tools write none, and neither does a download of a single file. Then there is only a
//! snapshot, which may be a part of the repository. So it serves for a named file alone, with its shards, and not for GGUF:
//! the repository may have a projector that goes along.
//!
//! # Trust
//! Another program wrote all of it. So this module reads only regular files of a bounded size, accepts only safe paths, and
//! parses each digest. The caller hashes the bytes against the digests, as always.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use provisioner_core::{
    Digest, DigestAlgorithm, FetchError, FetchErrorKind, Hint, RelativePath,
    reference::{RepoRef, RepoTarget, ShardName, is_commit},
    server_text, shell_word,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::tree::{Entry, Lfs, Names, Tree, TreeFile};

/// The only version of `trees/<commit>.json` that this module reads.
const FORMAT: u64 = 1;

/// How many bytes a listing has at the most, as it has where the Hub itself sends it.
const MAX_TREE_BYTES: u64 = 64 << 20;

/// How many bytes the name of a commit has at the most, with white space around it.
const MAX_REF_BYTES: u64 = 256;

/// Holds the files of a commit, as a cache lists them.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    /// All files of the repository; or those that a named file needs.
    pub(crate) tree: Tree,
    /// The file or the folder that lists them.
    pub(crate) path: PathBuf,
}

/// Returns the bytes of a listed file from the first of some caches that has it: among its blobs, or where the cache has no
/// symlinks, among the files of the commit. The caller compares their digest.
pub(crate) fn downloaded(
    caches: &[PathBuf],
    hub: &RepoRef,
    commit: &str,
    file: &TreeFile,
) -> Option<Vec<u8>> {
    let folder = local_caches::hub_folder(hub)?;
    caches.iter().find_map(|cache| {
        let folder = cache.join(&folder);
        let blob = folder.join("blobs").join(file.digest.hex());
        let snapshot = folder.join("snapshots").join(commit).join(&file.path);
        [blob, snapshot].iter().find_map(|path| {
            let path = local_caches::resolve_inside(cache, path)?;
            durable_fs::read_foreign(&path, file.size).ok().flatten()
        })
    })
}

/// Returns the commit that a revision of a repository named when a tool last asked for it with this cache.
///
/// # Errors
/// Where the cache has something else in that place.
#[cfg(feature = "cli")]
pub(crate) fn commit(
    cache: &Path,
    hub: &RepoRef,
    revision: Option<&str>,
) -> Result<Option<String>, FetchError> {
    let Some(folder) = local_caches::hub_folder(hub) else { return Ok(None) };
    let repository = Repository { cache, folder: cache.join(folder), hub };
    repository.commit_of(revision.or(hub.revision()).unwrap_or("main"))
}

/// Returns the listing of a reference in the first of some caches that has one.
///
/// # Errors
/// Where no cache has a listing: the trouble with the last one that has something of the reference.
pub(crate) fn listing(
    caches: &[PathBuf],
    hub: &RepoRef,
    revision: Option<&str>,
) -> Result<Option<Listing>, FetchError> {
    let mut found = Ok(None);
    for cache in caches {
        let Some(folder) = local_caches::hub_folder(hub) else { break };
        let repository = Repository { cache, folder: cache.join(folder), hub };
        match repository.listing(revision) {
            Ok(None) => {}
            Ok(listing) => return Ok(listing),
            error => found = error,
        }
    }
    found
}

/// A repository in a cache.
struct Repository<'a> {
    cache: &'a Path,
    folder: PathBuf,
    hub: &'a RepoRef,
}

impl Repository<'_> {
    fn listing(&self, revision: Option<&str>) -> Result<Option<Listing>, FetchError> {
        let revision = revision.or(self.hub.revision()).unwrap_or("main");
        let Some(commit) = self.commit_of(revision)? else { return Ok(None) };
        let path = self.folder.join("trees").join(format!("{commit}.json"));
        match self.read(&path, MAX_TREE_BYTES)? {
            Some(text) => Ok(Some(Listing { tree: tree(&text, &path)?, commit, path })),
            None => self.of_snapshot(commit),
        }
    }

    /// Returns the commit that a revision names, as far as the cache knows.
    fn commit_of(&self, revision: &str) -> Result<Option<String>, FetchError> {
        if is_commit(revision) {
            return Ok(Some(revision.to_ascii_lowercase()));
        }
        let Ok(name) = RelativePath::new(revision) else { return Ok(None) };
        let path = self.folder.join("refs").join(name);
        let Some(text) = self.read(&path, MAX_REF_BYTES)? else { return Ok(None) };
        let commit = String::from_utf8_lossy(&text).trim().to_ascii_lowercase();
        if is_commit(&commit) { Ok(Some(commit)) } else { Err(wrong(&path, "it names no commit")) }
    }

    /// Reads a file of the cache. Returns `None` for a file that is not there, and for one whose folder a symlink leads out of
    /// the cache.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        let folder = path.parent().and_then(|folder| local_caches::resolve_inside(self.cache, folder));
        let Some((folder, name)) = folder.zip(path.file_name()) else { return Ok(None) };
        durable_fs::read_foreign(&folder.join(name), limit)
            .map_err(|error| FetchError::new(FetchErrorKind::Invalid, error.to_string()))
    }

    /// Returns a named file and its shards, where a snapshot has all of them.
    fn of_snapshot(&self, commit: String) -> Result<Option<Listing>, FetchError> {
        let snapshot = self.folder.join("snapshots").join(&commit);
        match self.hub.target() {
            RepoTarget::Path(path) if !path.as_str().to_ascii_lowercase().ends_with(".gguf") => {
                let files = set_of(path).iter().map(|path| linked(&snapshot, path)).collect::<Option<_>>();
                let tree = files.map(|files| Tree { files, ..Tree::default() });
                Ok(tree.map(|tree| Listing { commit, tree, path: snapshot }))
            }
            RepoTarget::Path(path) => self.unlisted(&snapshot.join(path), "whether a projector goes along"),
            _ => self.unlisted(&snapshot, "which files belong to the model"),
        }
    }

    /// Returns the error of files that lie in a cache and may be only a part of the model.
    fn unlisted(&self, found: &Path, unknown: &str) -> Result<Option<Listing>, FetchError> {
        if !found.exists() {
            return Ok(None);
        }
        let pattern = match self.hub.target() {
            RepoTarget::Path(path) => Some(path.to_string()),
            RepoTarget::Quantization(quantization) => Some(format!("*{quantization}*")),
            RepoTarget::Repository(selection) => selection.include.first().cloned(),
        };
        let option =
            pattern.map(|pattern| format!(" --include {}", shell_word(&pattern))).unwrap_or_default();
        let (repo, place) = (self.hub.repo(), found.to_string_lossy());
        let message = format!(
            "`{place}` is there, and {unknown} is not: no list of the repository's files lies beside it"
        );
        let command = format!("hf download {repo}{option}");
        let hint = Hint::AddListing { command, path: place.into_owned() };
        Err(FetchError::new(FetchErrorKind::NotFound, message).with_hint(hint))
    }
}

/// Returns a file, and the other shards of its set.
fn set_of(path: &RelativePath) -> Vec<RelativePath> {
    let shards = ShardName::parse(path.file_name()).map(|set| {
        let names = (1..=set.count()).map(|number| format!("{}{}", path.folder(), set.sibling(number)));
        names.map_while(|name| RelativePath::new(name).ok()).collect()
    });
    shards.unwrap_or_else(|| vec![path.clone()])
}

/// Returns a file of a snapshot that is a link to a blob, whose name is the digest that the Hub gave.
fn linked(snapshot: &Path, path: &RelativePath) -> Option<TreeFile> {
    let at = snapshot.join(path);
    let blob = fs_err::read_link(&at).ok()?;
    let name = blob.file_name()?.to_str()?;
    let algorithm = if name.len() == 64 { DigestAlgorithm::Sha256 } else { DigestAlgorithm::GitSha1 };
    let size = fs_err::metadata(&at).ok().filter(std::fs::Metadata::is_file)?.len();
    Some(TreeFile {
        path: path.clone(),
        size,
        digest: Digest::new(algorithm, name).ok()?,
        xet_hash: None,
        scan: None,
    })
}

/// `trees/<commit>.json`.
#[derive(Deserialize)]
struct Document {
    format_version: u64,
    files: Files,
}

/// The files of a tree, by their paths.
struct Files(Tree);

#[derive(Deserialize)]
struct Known {
    size: u64,
    blob_id: String,
    lfs_sha256: Option<String>,
    lfs_size: Option<u64>,
    xet_hash: Option<String>,
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByPath;

        impl<'de> Visitor<'de> for ByPath {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("files by their paths")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let (mut tree, mut names) = (Tree::default(), Names::default());
                while let Some((name, known)) = map.next_entry::<String, _>()? {
                    let path = names.add(&name).map_err(A::Error::custom)?;
                    tree.add(name, path, entry_of(known)).map_err(A::Error::custom)?;
                }
                Ok(Files(tree))
            }
        }

        deserializer.deserialize_map(ByPath)
    }
}

/// Returns a file's entry as the Hub itself would list it.
fn entry_of(known: Known) -> Entry {
    let Known { size, blob_id, lfs_sha256, lfs_size, xet_hash } = known;
    let lfs = lfs_sha256.map(|oid| Lfs { oid, size: lfs_size.unwrap_or(size) });
    Entry { kind: String::new(), path: String::new(), size, oid: blob_id, lfs, xet_hash, security: None }
}

fn tree(text: &[u8], path: &Path) -> Result<Tree, FetchError> {
    let tree: Document =
        serde_json::from_slice(text).map_err(|error| wrong(path, &server_text(&error.to_string())))?;
    if tree.format_version != FORMAT {
        return Err(wrong(path, &format!("its format is {}, and {FORMAT} is read", tree.format_version)));
    }
    Ok(tree.files.0)
}

fn wrong(path: &Path, what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Invalid, format!("`{}`: {what}", path.display()))
}

#[cfg(test)]
mod tests;
