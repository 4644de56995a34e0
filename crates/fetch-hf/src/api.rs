//! Asks the Hub about a repository: its commits, and the tree of a commit.

use std::{collections::HashSet, mem};

use provisioner_core::{
    Digest, DigestAlgorithm, FetchError, FetchErrorKind, Hint, RelativePath,
    reference::{RepoRef, RepoTarget, is_commit},
};
use serde::Deserialize;
use source_http::{HttpClient, Page, Url, invalid, redacted, server_text};

use crate::address::address;

/// How many files and folders a listing has at the most.
const MAX_ENTRIES: usize = 200_000;

/// How many pages a listing has at the most: as many as that many entries need, where each page has as few as fifty.
const MAX_PAGES: usize = 4096;

/// How long the address of a page is at the most.
const MAX_ADDRESS_BYTES: usize = 8192;

/// How long a name is at the most: a file's path in the store, of at most 4095 bytes, has the folders of the cache and the
/// model before it. The fetcher does not look into a longer one, for an error about it would repeat it.
const MAX_NAME_BYTES: usize = 2048;

/// How many bytes all names of a listing have at the most: the fetcher holds them until the listing's end.
const MAX_NAMES_BYTES: usize = 64 << 20;

/// A whole listing may take as long as so many of its pages.
const LISTING_DEADLINES: u32 = 4;

/// Describes a file in a commit's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFile {
    pub(crate) path: RelativePath,
    pub(crate) size: u64,
    /// The SHA-256 of a large file; the git blob id of a small one.
    pub(crate) digest: Digest,
    /// Its name in Xet, where the Hub stores it there: 64 hex digits.
    pub(crate) xet_hash: Option<String>,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// A revision, with its files where the endpoint describes them.
#[derive(Deserialize)]
struct Described {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<SiblingLfs>,
}

#[derive(Deserialize)]
struct SiblingLfs {
    sha256: String,
    size: u64,
}

#[derive(Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) size: u64,
    pub(crate) oid: String,
    pub(crate) lfs: Option<Lfs>,
    #[serde(rename = "xetHash")]
    pub(crate) xet_hash: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Lfs {
    pub(crate) oid: String,
    pub(crate) size: u64,
}

/// Collects the names of a listing.
#[derive(Default)]
pub(crate) struct Names {
    seen: HashSet<RelativePath>,
    bytes: usize,
}

impl Names {
    /// Adds the name of a file or a folder, which must be new.
    pub(crate) fn add(&mut self, name: String) -> Result<RelativePath, String> {
        if name.len() > MAX_NAME_BYTES {
            return Err(format!("the listing has a name of {} bytes", name.len()));
        }
        self.bytes += name.len();
        // Folders count too.
        if self.bytes > MAX_NAMES_BYTES || self.seen.len() == MAX_ENTRIES {
            return Err("the listing does not end".to_owned());
        }
        let path = RelativePath::new(name).map_err(|error| error.to_string())?;
        if self.seen.insert(path.clone()) {
            Ok(path)
        } else {
            Err(format!("the listing names `{path}` twice"))
        }
    }
}

/// Collects the pages of a listing, by their addresses.
#[derive(Default)]
struct Pages(HashSet<String>);

impl Pages {
    /// Adds the next page, which must be a new one: pages that name each other end nowhere.
    fn add(&mut self, page: &Url) -> Result<(), &'static str> {
        let address = page.as_str();
        if address.len() > MAX_ADDRESS_BYTES {
            return Err("its next page has too long an address");
        }
        if self.0.len() == MAX_PAGES || !self.0.insert(address.to_owned()) {
            return Err("the listing does not end");
        }
        Ok(())
    }
}

/// Collects the files of a listing.
#[derive(Default)]
struct Tree {
    files: Vec<TreeFile>,
    names: Names,
}

impl Tree {
    /// Adds an entry of a page, which is a file or a folder.
    fn add(&mut self, entry: &[u8]) -> Result<(), String> {
        let mut entry: Entry = serde_json::from_slice(entry).map_err(|error| no_entry(&error))?;
        let path = self.names.add(mem::take(&mut entry.path))?;
        if entry.kind == "file" {
            self.files.push(listed(path, entry)?);
        }
        Ok(())
    }
}

/// The answer to a request for the listing of a commit that the endpoint has.
enum Listing {
    Files(Vec<TreeFile>),
    /// The endpoint has no listings. The error says what it answered.
    Missing(FetchError),
}

impl Sibling {
    /// Returns the file as a listing has it; `None` where its size or its digest is not told.
    fn entry(self) -> Option<Entry> {
        let lfs = self.lfs.map(|lfs| Lfs { oid: lfs.sha256, size: lfs.size });
        let oid = if lfs.is_some() { self.blob_id.unwrap_or_default() } else { self.blob_id? };
        let size = lfs.as_ref().map(|lfs| lfs.size).or(self.size)?;
        Some(Entry { kind: "file".to_owned(), path: String::new(), size, oid, lfs, xet_hash: None })
    }
}

/// Asks one hub what it has.
#[derive(Debug)]
pub(crate) struct HubApi {
    client: HttpClient,
}

impl HubApi {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self { client }
    }

    pub(crate) fn client(&self) -> &HttpClient {
        &self.client
    }

    pub(crate) fn client_mut(&mut self) -> &mut HttpClient {
        &mut self.client
    }

    /// Returns the commit that a revision names now: the one that is given, or else the reference's own.
    pub(crate) async fn commit_of(
        &self,
        hub: &RepoRef,
        revision: Option<&str>,
    ) -> Result<String, FetchError> {
        let revision = revision.or(hub.revision()).unwrap_or("main");
        let url = self.address(&["api", "models"], hub.repo(), &["revision", revision]);
        let found = self.client.json(url.clone()).await;
        let found: Revision = found.map_err(|error| with_slash(hub, error))?;
        if !is_commit(&found.sha) {
            return Err(invalid(&url, "it names no commit"));
        }
        let commit = found.sha.to_ascii_lowercase();
        if is_commit(revision) && !revision.eq_ignore_ascii_case(&commit) {
            let what = format!("it answers with commit `{commit}` to a question about `{revision}`");
            return Err(invalid(&url, &what));
        }
        Ok(commit)
    }

    /// Returns all files of a commit, of which the endpoint knows. A mirror may lack the listing that the Hub itself has, and
    /// describe the files with the revision.
    pub(crate) async fn tree_of(&self, hub: &RepoRef, commit: &str) -> Result<Vec<TreeFile>, FetchError> {
        let mut url = self.address(&["api", "models"], hub.repo(), &["tree", commit]);
        url.set_query(Some("recursive=true"));
        let listing = self.client.in_time(&url, LISTING_DEADLINES, self.listing(url.clone())).await?;
        let missing = match listing {
            Listing::Files(files) => return Ok(files),
            Listing::Missing(error) => error,
        };
        match self.described(hub, commit).await {
            Ok(Some(files)) => Ok(files),
            Err(error) if error.code().is_retriable() => Err(error),
            Ok(None) | Err(_) => Err(unlisted(self.client.endpoint(), &missing)),
        }
    }

    /// Returns the files that the endpoint describes with a commit; `None` where it does not give the size and the digest of
    /// each.
    async fn described(&self, hub: &RepoRef, commit: &str) -> Result<Option<Vec<TreeFile>>, FetchError> {
        let mut url = self.address(&["api", "models"], hub.repo(), &["revision", commit]);
        url.set_query(Some("blobs=true"));
        let found: Described = self.client.json(url.clone()).await?;
        if !found.sha.eq_ignore_ascii_case(commit) || found.siblings.is_empty() {
            return Ok(None);
        }
        let (mut files, mut names) = (Vec::with_capacity(found.siblings.len()), Names::default());
        for mut sibling in found.siblings {
            let name = mem::take(&mut sibling.rfilename);
            let Some(entry) = sibling.entry() else { return Ok(None) };
            let file = names.add(name).and_then(|path| listed(path, entry));
            files.push(file.map_err(|what| invalid(&url, &what))?);
        }
        Ok(Some(files))
    }

    /// Returns all files on a page, and on those that follow it.
    async fn listing(&self, mut url: Url) -> Result<Listing, FetchError> {
        let (mut tree, mut pages) = (Tree::default(), Pages::default());
        loop {
            pages.add(&url).map_err(|what| invalid(&url, what))?;
            let before = tree.names.seen.len();
            let is_first = pages.0.len() == 1;
            let next = match self.client.elements(url.clone(), |entry| tree.add(entry)).await {
                Ok(Page::Last) => return Ok(Listing::Files(tree.files)),
                Ok(Page::Before(next)) => next,
                Ok(Page::Missing(error)) if is_first => return Ok(Listing::Missing(error)),
                Err(error) if is_first && error.kind == FetchErrorKind::NotFound => {
                    return Ok(Listing::Missing(error));
                }
                Ok(Page::Missing(error)) | Err(error) => return Err(error),
            };
            // Pages with nothing on them end nowhere.
            if tree.names.seen.len() == before {
                return Err(invalid(&url, "the listing does not end"));
            }
            url = next;
        }
    }

    /// Returns where the hub has the bytes of a file.
    pub(crate) fn file_address(&self, repo: &str, commit: &str, path: &str) -> Url {
        let segments: Vec<_> = ["resolve", commit].into_iter().chain(path.split('/')).collect();
        self.address(&[], repo, &segments)
    }

    /// Returns where the hub gives a token for the Xet storage of a commit's files.
    #[cfg(feature = "xet")]
    pub(crate) fn xet_token_address(&self, repo: &str, commit: &str) -> Url {
        self.address(&["api", "models"], repo, &["xet-read-token", commit])
    }

    fn address(&self, before: &[&str], repo: &str, after: &[&str]) -> Url {
        address(self.client.endpoint(), before, repo, after)
    }
}

/// Returns the error of an endpoint that has a commit, and does not say which files are in it.
fn unlisted(endpoint: &Url, missing: &FetchError) -> FetchError {
    let message = format!(
        "{missing}: the endpoint `{}` has the revision, and no listing of its files",
        redacted(endpoint)
    );
    let hint = "the mirror that HF_ENDPOINT names lacks the Hub's listing (`/api/models/ORG/REPO/tree/COMMIT`): set \
                HF_ENDPOINT to an endpoint that has it, or leave it out";
    FetchError::new(FetchErrorKind::Invalid, message).with_hint(hint)
}

fn no_entry(error: &serde_json::Error) -> String {
    format!("no document came: {}", server_text(&error.to_string()))
}

/// Returns a file of a tree, from the Hub's entry for it.
pub(crate) fn listed(path: RelativePath, entry: Entry) -> Result<TreeFile, String> {
    let (digest, size) = match &entry.lfs {
        Some(lfs) => (Digest::new(DigestAlgorithm::Sha256, lfs.oid.trim_start_matches("sha256:")), lfs.size),
        None => (Digest::new(DigestAlgorithm::GitSha1, &entry.oid), entry.size),
    };
    let digest = digest.map_err(|error| format!("`{path}`: {error}"))?;
    // The fetcher passes over a malformed hash: plain HTTP serves the file without.
    let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(TreeFile { path, size, digest, xet_hash: entry.xet_hash.filter(is_hash) })
}

/// Returns the error of a revision, with how to write a revision that has a slash of its own: the reference's parser takes
/// the text behind the slash for a path, as in a page's address.
fn with_slash(hub: &RepoRef, mut error: FetchError) -> FetchError {
    let rest = match hub.target() {
        RepoTarget::Path(path) => Some(path.as_str()),
        RepoTarget::Repository(selection) => {
            selection.include.first().and_then(|pattern| pattern.strip_suffix("/*"))
        }
        RepoTarget::Quantization(_) => None,
    };
    let (Some(revision), Some(rest), FetchErrorKind::NotFound) = (hub.revision(), rest, error.kind) else {
        return error;
    };
    let branch = format!("{revision}/{}", rest.split('/').next().unwrap_or_default());
    let whole = hub.clone().whole().at(&branch).to_string();
    let write = Hint::WriteBranch { branch, at_branch: whole };
    let hint = match error.hint.take() {
        Some(own) => own.and(write),
        None => write,
    };
    error.with_hint(hint)
}

#[cfg(test)]
mod tests {
    use source_http::JsonElements;

    use super::*;

    #[test]
    fn names_are_bounded_one_by_one_and_all_together() {
        let mut names = Names::default();
        let part = "x".repeat(250);
        let long = |n: usize| format!("{n:06}/{}", [part.as_str(); 8].join("/"));
        let room = MAX_NAMES_BYTES / long(0).len();
        for n in 0..room {
            names.add(long(n)).unwrap();
        }
        assert_eq!(names.add(long(room)).unwrap_err(), "the listing does not end");
        let mut names = Names::default();
        for n in 0..MAX_ENTRIES {
            names.add(n.to_string()).unwrap();
        }
        assert_eq!(names.add("x".into()).unwrap_err(), "the listing does not end");
        let mut names = Names::default();
        assert_eq!(names.add("x".repeat(4097)).unwrap_err(), "the listing has a name of 4097 bytes");
        assert_eq!(
            names.add(long(0) + &"/x".repeat(20)).unwrap_err(),
            "the listing has a name of 2054 bytes"
        );
        names.add("a/b".into()).unwrap();
        assert_eq!(names.add("a/b".into()).unwrap_err(), "the listing names `a/b` twice");
    }

    #[test]
    fn pages_are_bounded_in_number_and_come_once() {
        let page = |n: usize| Url::parse(&format!("https://hub/tree?cursor={n}")).unwrap();
        let mut pages = Pages::default();
        for n in 0..MAX_PAGES {
            pages.add(&page(n)).unwrap();
        }
        assert_eq!(pages.add(&page(MAX_PAGES)), Err("the listing does not end"));
        let mut pages = Pages::default();
        pages.add(&page(0)).unwrap();
        pages.add(&page(1)).unwrap();
        assert_eq!(pages.add(&page(0)), Err("the listing does not end"));
        let long = Url::parse(&format!("https://hub/{}", "x".repeat(MAX_ADDRESS_BYTES))).unwrap();
        assert_eq!(pages.add(&long), Err("its next page has too long an address"));
    }

    #[test]
    fn a_page_is_not_read_past_what_a_listing_may_have() {
        let oid = "0".repeat(40);
        let (mut tree, mut elements) = (Tree::default(), JsonElements::default());
        let entry = |n: usize| format!(r#"{{"type":"file","path":"{n}","oid":"{oid}"}},"#);
        let mut add = |text: &str| elements.push(text.as_bytes(), &mut |entry| tree.add(entry));
        add("[").unwrap();
        for n in 0..MAX_ENTRIES {
            add(&entry(n)).unwrap();
        }
        assert_eq!(add(&entry(MAX_ENTRIES)).unwrap_err(), "the listing does not end");
        assert_eq!(tree.files.len(), MAX_ENTRIES);
    }
}
