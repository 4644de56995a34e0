//! What the Hub says of a repository.

use std::{collections::HashSet, mem, time::Duration};

use provisioner_core::{
    ByteRange, Digest, DigestAlgorithm, FetchError, FetchErrorKind, Hint, Pace, RelativePath,
    reference::{RepoRef, RepoTarget, is_commit},
    told,
};
use reqwest::{Url, header::LINK};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};

use crate::{
    connections::Pool,
    elements::Elements,
    http::{Answer, Http, broken, invalid, shorten, shown},
    link::next_page,
};

/// No answer of the API is larger.
pub(crate) const MAX_BODY_BYTES: usize = 64 << 20;

/// More files and folders than any repository has.
const MAX_ENTRIES: usize = 200_000;

/// More pages than a listing of that many entries has, where each has as few as fifty.
const MAX_PAGES: usize = 4096;

/// No page has a longer address.
const MAX_ADDRESS_BYTES: usize = 8192;

/// No name is longer: a file's path in the store, of at most 4095 bytes, has the folders of the cache and the model before it. A
/// longer one is not even looked at, for what is wrong with it would be told with the name.
const MAX_NAME_BYTES: usize = 2048;

/// All names of a listing together, over all its pages: they are held until its end.
const MAX_NAMES_BYTES: usize = 64 << 20;

/// A whole listing may take as long as so many of its pages.
const LISTING_DEADLINES: u32 = 4;

/// A file in a commit's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFile {
    pub(crate) path: RelativePath,
    pub(crate) size: u64,
    /// The SHA-256 of a large file; the git blob id of a small one.
    pub(crate) digest: Digest,
    /// What names it in Xet, where it is stored there: 64 hex digits.
    pub(crate) xet_hash: Option<String>,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
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

/// The names that a listing had so far.
#[derive(Default)]
pub(crate) struct Names {
    seen: HashSet<RelativePath>,
    bytes: usize,
}

impl Names {
    /// The name of a file or a folder, which must be new.
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

/// The pages that a listing had so far, by their addresses.
#[derive(Default)]
struct Pages(HashSet<String>);

impl Pages {
    /// The next page, which must be a new one: pages that name each other end nowhere.
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

/// What a listing had so far.
#[derive(Default)]
struct Tree {
    files: Vec<TreeFile>,
    names: Names,
}

impl Tree {
    /// Adds an entry of a page, which is a file or a folder.
    fn add(&mut self, entry: &[u8]) -> Result<(), String> {
        let mut entry: Entry =
            serde_json::from_slice(entry).map_err(|error| no_document(&error.to_string()))?;
        let path = self.names.add(mem::take(&mut entry.path))?;
        if entry.kind == "file" {
            self.files.push(listed(path, entry)?);
        }
        Ok(())
    }
}

impl Http {
    /// The commit that a revision names now: the one that is given, or else the reference's own.
    pub(crate) async fn commit_of(
        &self,
        hub: &RepoRef,
        revision: Option<&str>,
    ) -> Result<String, FetchError> {
        let revision = revision.or(hub.revision()).unwrap_or("main");
        let url = self.address(&["api", "models"], hub.repo(), &["revision", revision]);
        let found: Revision = self.json(url.clone()).await.map_err(|error| with_slash(hub, error))?;
        if !is_commit(&found.sha) {
            return Err(invalid(&url, "it names no commit"));
        }
        let commit = found.sha.to_ascii_lowercase();
        if is_commit(revision) && !revision.eq_ignore_ascii_case(&commit) {
            let what = format!("it answers with commit `{commit}` where `{revision}` was asked for");
            return Err(invalid(&url, &what));
        }
        Ok(commit)
    }

    /// All files of a commit.
    pub(crate) async fn tree_of(&self, hub: &RepoRef, commit: &str) -> Result<Vec<TreeFile>, FetchError> {
        let mut url = self.address(&["api", "models"], hub.repo(), &["tree", commit]);
        url.set_query(Some("recursive=true"));
        self.in_time(&url, LISTING_DEADLINES, self.listing(url.clone())).await
    }

    /// All files on a page, and on those that follow it.
    async fn listing(&self, mut url: Url) -> Result<Vec<TreeFile>, FetchError> {
        let (mut tree, mut pages) = (Tree::default(), Pages::default());
        loop {
            pages.add(&url).map_err(|what| invalid(&url, what))?;
            let before = tree.names.seen.len();
            let next = self.in_time(&url, 1, self.page(url.clone(), &mut tree)).await?;
            let Some(next) = next else { return Ok(tree.files) };
            // Pages with nothing on them end nowhere.
            if tree.names.seen.len() == before {
                return Err(invalid(&url, "the listing does not end"));
            }
            url = next;
        }
    }

    /// Reads a page, entry by entry, and returns the address of the next one.
    async fn page(&self, url: Url, tree: &mut Tree) -> Result<Option<Url>, FetchError> {
        let (answer, next) = self.linked(url).await?;
        let (url, mut elements) = (answer.url.clone(), Elements::default());
        self.body(answer, |piece| elements.push(piece, &mut |entry| tree.add(entry))).await?;
        elements.end().map_err(|what| invalid(&url, &no_document(&what)))?;
        Ok(next)
    }

    /// Where the bytes of a file are asked for.
    pub(crate) fn file_address(&self, repo: &str, commit: &str, path: &str) -> Url {
        let segments: Vec<_> = ["resolve", commit].into_iter().chain(path.split('/')).collect();
        self.address(&[], repo, &segments)
    }

    /// Where a token for the Xet storage of a commit's files is asked for.
    #[cfg(feature = "xet")]
    pub(crate) fn xet_token_address(&self, repo: &str, commit: &str) -> Url {
        self.address(&["api", "models"], repo, &["xet-read-token", commit])
    }

    /// The page of the repository that one of our addresses is about.
    pub(crate) fn page_of(&self, url: &Url) -> Option<Url> {
        let depth = self.endpoint().path_segments()?.filter(|segment| !segment.is_empty()).count();
        let segments: Vec<_> = url.path_segments()?.skip(depth).collect();
        let segments = segments.strip_prefix(&["api", "models"]).unwrap_or(&segments);
        let is_verb = |segment: &&str| ["revision", "tree", "xet-read-token", "resolve"].contains(segment);
        let end = segments.iter().skip(1).position(is_verb)? + 1;
        Some(self.address(&[], &segments.get(..end)?.join("/"), &[]))
    }

    /// An address below the endpoint. Each segment is encoded by itself, a revision with slashes too.
    fn address(&self, before: &[&str], repo: &str, after: &[&str]) -> Url {
        let mut url = self.endpoint().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(before).extend(repo.split('/')).extend(after);
        }
        url
    }

    /// A document.
    pub(crate) async fn json<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        self.in_time(&url, 1, self.document(url.clone())).await
    }

    /// Waits for so many deadlines, and no longer.
    async fn in_time<T>(
        &self,
        url: &Url,
        deadlines: u32,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let limit = self.api_deadline().saturating_mul(deadlines);
        match timeout(limit, work).await {
            Ok(done) => done,
            Err(_) => Err(FetchError::new(
                FetchErrorKind::Unavailable,
                format!("`{}` takes too long: more than {limit:?}", shown(url)),
            )),
        }
    }

    async fn document<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        let (answer, _) = self.linked(url).await?;
        let (url, mut body) = (answer.url.clone(), Vec::new());
        let keep = |piece: &[u8]| {
            body.extend_from_slice(piece);
            Ok(())
        };
        self.body(answer, keep).await?;
        serde_json::from_slice(&body).map_err(|error| invalid(&url, &no_document(&error.to_string())))
    }

    /// An answer of the API, and the address of the next page.
    async fn linked(&self, url: Url) -> Result<(Answer, Option<Url>), FetchError> {
        let answer = self.get(url, ByteRange::ALL, Pool::Shared).await?;
        let url = &answer.url;
        let links = answer.response.headers().get_all(LINK).iter().map(|link| link.to_str().ok());
        let next = next_page(links).map_err(|_| invalid(url, "its links make no sense"))?;
        let Some(next) = next else { return Ok((answer, None)) };
        let next = url.join(&next).map_err(|_| invalid(url, "its next page is no address"))?;
        // A page elsewhere would be asked with our token.
        if !self.is_hub(&next) {
            return Err(invalid(url, "its next page is on another host"));
        }
        Ok((answer, Some(next)))
    }

    /// Gives the bytes of an answer to `take`, piece by piece, for as long as they come fast enough.
    async fn body(
        &self,
        answer: Answer,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), FetchError> {
        let Answer { mut response, url } = answer;
        let (mut bytes, mut pace) = (0, Pace::new(self.timeout()));
        loop {
            let begin = Instant::now();
            let Ok(piece) = timeout(pace.patience(), response.chunk()).await else {
                return Err(too_slow(&url, &pace, self.timeout()));
            };
            let Some(piece) = piece.map_err(|error| broken(&url, &error))? else { return Ok(()) };
            bytes += piece.len();
            if bytes > MAX_BODY_BYTES {
                return Err(invalid(&url, "its answer is too large"));
            }
            pace.arrived(piece.len() as u64, begin.elapsed());
            take(&piece).map_err(|what| invalid(&url, &what))?;
        }
    }
}

fn no_document(what: &str) -> String {
    format!("no document came: {}", shorten(what))
}

fn too_slow(url: &Url, pace: &Pace, window: Duration) -> FetchError {
    let message = format!("`{}` is too slow: {} bytes came in the last {window:?}", shown(url), pace.bytes());
    FetchError::new(FetchErrorKind::Unavailable, message)
}

/// A file of a tree, from what is said of it.
pub(crate) fn listed(path: RelativePath, entry: Entry) -> Result<TreeFile, String> {
    let (digest, size) = match &entry.lfs {
        Some(lfs) => (Digest::new(DigestAlgorithm::Sha256, lfs.oid.trim_start_matches("sha256:")), lfs.size),
        None => (Digest::new(DigestAlgorithm::GitSha1, &entry.oid), entry.size),
    };
    let digest = digest.map_err(|error| format!("`{path}`: {error}"))?;
    // What is no hash is none: the file is to be had without.
    let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(TreeFile { path, size, digest, xet_hash: entry.xet_hash.filter(is_hash) })
}

/// The failure of a revision, with how it is written where a slash of its own may have ended it too soon: what follows the
/// slash was taken for a path, as in a page's address.
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

/// A failure that names the choices that there are.
pub(crate) fn unknown(what: String, choices: &[String]) -> FetchError {
    let hint = if choices.is_empty() {
        Hint::text("the repository is empty")
    } else {
        Hint::text(format!("there are: {}", told(choices.iter())))
    };
    FetchError::new(FetchErrorKind::NotFound, what).with_hint(hint)
}

#[cfg(test)]
mod tests {
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
        let (mut tree, mut elements) = (Tree::default(), Elements::default());
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
