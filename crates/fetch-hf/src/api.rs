//! Asks the Hub about a repository: its commits, and the tree of a commit.

use std::{collections::HashSet, mem};

use provisioner_core::{
    FetchError, FetchErrorKind, Hint, SourceFacts,
    reference::{RepoRef, RepoTarget, is_commit},
};
use serde::Deserialize;
use source_http::{HttpClient, Page, Url, invalid, redacted};

use crate::{
    address::address,
    error::naming_repository,
    facts::Revision,
    tree::{Entries, Entry, Lfs, Tree},
};

/// How many pages a listing has at the most: as many as that many entries need, where each page has as few as fifty.
const MAX_PAGES: usize = 4096;

/// How long the address of a page is at the most.
const MAX_ADDRESS_BYTES: usize = 8192;

/// A whole listing may take as long as so many of its pages.
pub(crate) const LISTING_DEADLINES: u32 = 4;

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

/// The answer to a request for the listing of a commit that the endpoint has.
enum Listing {
    Tree(Tree),
    /// The endpoint has no listings. The error says what it answered.
    Missing(FetchError),
}

impl Sibling {
    /// Returns the file as a listing has it; `None` where its size or its digest is not told.
    fn entry(self) -> Option<Entry> {
        let lfs = self.lfs.map(|lfs| Lfs { oid: lfs.sha256, size: lfs.size });
        let oid = if lfs.is_some() { self.blob_id.unwrap_or_default() } else { self.blob_id? };
        let size = lfs.as_ref().map(|lfs| lfs.size).or(self.size)?;
        Some(Entry {
            kind: "file".to_owned(),
            path: String::new(),
            size,
            oid,
            lfs,
            xet_hash: None,
            security: None,
        })
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

    /// Returns the commit that a revision names now: the one that is given, or else the reference's own; and what the hub says of the
    /// repository there.
    pub(crate) async fn commit_of(
        &self,
        hub: &RepoRef,
        revision: Option<&str>,
    ) -> Result<(String, SourceFacts), FetchError> {
        let revision = revision.or(hub.revision()).unwrap_or("main");
        let url = self.address(&["api", "models"], hub.repo(), &["revision", revision]);
        let found = self.client.json(url.clone()).await;
        let whole = hub.clone().whole();
        let asked = if revision == "main" { whole } else { whole.at(revision) };
        let named = |error| naming_repository(error, &asked.to_string(), self.client.endpoint());
        let found: Revision = found.map_err(|error| with_slash(hub, named(error)))?;
        if !is_commit(&found.sha) {
            return Err(invalid(&url, "it names no commit"));
        }
        let commit = found.sha.to_ascii_lowercase();
        if is_commit(revision) && !revision.eq_ignore_ascii_case(&commit) {
            let what = format!("it answers with commit `{commit}` to a question about `{revision}`");
            return Err(invalid(&url, &what));
        }
        Ok((commit, found.facts()))
    }

    /// Returns all files of a commit, of which the endpoint knows. A mirror may lack the listing that the Hub itself has, and
    /// describe the files with the revision. Only where `with_scans` says so does the hub tell what its scanners say: pages are shorter
    /// then.
    pub(crate) async fn tree_of(
        &self,
        hub: &RepoRef,
        commit: &str,
        with_scans: bool,
    ) -> Result<Tree, FetchError> {
        let mut url = self.address(&["api", "models"], hub.repo(), &["tree", commit]);
        url.set_query(Some(if with_scans { "recursive=true&expand=true" } else { "recursive=true" }));
        let listing = self.client.in_time(&url, LISTING_DEADLINES, self.listing(url.clone())).await?;
        let missing = match listing {
            Listing::Tree(tree) => return Ok(tree),
            Listing::Missing(error) => error,
        };
        match self.described(hub, commit).await {
            Ok(Some(tree)) => Ok(tree),
            Err(error) if error.code().is_retriable() => Err(error),
            Ok(None) | Err(_) => Err(unlisted(self.client.endpoint(), &missing)),
        }
    }

    /// Returns the files that the endpoint describes with a commit; `None` where it does not give the size and the digest of
    /// each.
    async fn described(&self, hub: &RepoRef, commit: &str) -> Result<Option<Tree>, FetchError> {
        let mut url = self.address(&["api", "models"], hub.repo(), &["revision", commit]);
        url.set_query(Some("blobs=true"));
        let found: Described = self.client.json(url.clone()).await?;
        if !found.sha.eq_ignore_ascii_case(commit) || found.siblings.is_empty() {
            return Ok(None);
        }
        let mut entries = Entries::default();
        for mut sibling in found.siblings {
            let name = mem::take(&mut sibling.rfilename);
            let Some(entry) = sibling.entry() else { return Ok(None) };
            entries.add(name, entry).map_err(|what| invalid(&url, &what))?;
        }
        Ok(Some(entries.tree))
    }

    /// Returns all files on a page, and on those that follow it.
    async fn listing(&self, mut url: Url) -> Result<Listing, FetchError> {
        let (mut entries, mut pages) = (Entries::default(), Pages::default());
        loop {
            pages.add(&url).map_err(|what| invalid(&url, what))?;
            let before = entries.len();
            let is_first = pages.0.len() == 1;
            let next = match self.client.elements(url.clone(), |entry| entries.read(entry)).await {
                Ok(Page::Last) => return Ok(Listing::Tree(entries.tree)),
                Ok(Page::Before(next)) => next,
                Ok(Page::Missing(error)) if is_first => return Ok(Listing::Missing(error)),
                Err(error) if is_first && error.kind == FetchErrorKind::NotFound => {
                    return Ok(Listing::Missing(error));
                }
                Ok(Page::Missing(error)) | Err(error) => return Err(error),
            };
            // Pages with nothing on them end nowhere.
            if entries.len() == before {
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
    FetchError::new(FetchErrorKind::Invalid, message).with_hint(Hint::UseListingEndpoint)
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
    use super::*;

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
}
