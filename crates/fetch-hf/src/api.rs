//! What the Hub says of a repository.

use std::collections::HashSet;

use provisioner_core::{
    ByteRange, Digest, DigestAlgorithm, FetchError, FetchErrorKind, RelativePath, reference::HubRef,
};
use reqwest::{Url, header::LINK};
use serde::{Deserialize, de::DeserializeOwned};

use crate::http::{Http, broken, invalid};

/// No answer of the API is larger.
const MAX_BODY_BYTES: usize = 64 << 20;

/// More files and folders than any repository has.
const MAX_ENTRIES: usize = 200_000;

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
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    oid: String,
    lfs: Option<Lfs>,
    #[serde(rename = "xetHash")]
    xet_hash: Option<String>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

impl Http {
    /// The commit that a revision names now: the one that is given, or else the reference's own.
    pub(crate) async fn commit_of(&self, hub: &HubRef, revision: Option<&str>) -> Result<String, FetchError> {
        let revision = revision.or(hub.revision()).unwrap_or("main");
        let url = self.address(&["api", "models"], hub.repo(), &["revision", revision]);
        let found: Revision = self.json(url.clone()).await?.0;
        let is_commit = found.sha.len() == 40 && found.sha.bytes().all(|b| b.is_ascii_hexdigit());
        if is_commit { Ok(found.sha.to_ascii_lowercase()) } else { Err(invalid(&url, "it names no commit")) }
    }

    /// All files of a commit.
    pub(crate) async fn tree_of(&self, hub: &HubRef, commit: &str) -> Result<Vec<TreeFile>, FetchError> {
        let mut url = self.address(&["api", "models"], hub.repo(), &["tree", commit]);
        url.set_query(Some("recursive=true"));
        let (mut files, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let (page, next): (Vec<Entry>, _) = self.json(url.clone()).await?;
            // Folders count too, and pages with nothing on them end nowhere.
            if seen.len() + page.len() > MAX_ENTRIES || (page.is_empty() && next.is_some()) {
                return Err(invalid(&url, "the listing does not end"));
            }
            if !page.iter().all(|entry| seen.insert(entry.path.clone())) {
                return Err(invalid(&url, "the listing names a file twice"));
            }
            for entry in page.into_iter().filter(|entry| entry.kind == "file") {
                files.push(listed(entry).map_err(|what| invalid(&url, &what))?);
            }
            match next {
                Some(next) => url = next,
                None => return Ok(files),
            }
        }
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

    /// An address below the endpoint. Each segment is encoded by itself, a revision with slashes too.
    fn address(&self, before: &[&str], repo: &str, after: &[&str]) -> Url {
        let mut url = self.endpoint().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(before).extend(repo.split('/')).extend(after);
        }
        url
    }

    /// A document, and the address of the next page.
    pub(crate) async fn json<T: DeserializeOwned>(&self, url: Url) -> Result<(T, Option<Url>), FetchError> {
        let answer = self.get(url, ByteRange::ALL).await?;
        let url = answer.url;
        let next = answer.response.headers().get(LINK).and_then(|link| next_page(link.to_str().ok()?));
        let next = match next {
            Some(next) => {
                let next = url.join(&next).map_err(|_| invalid(&url, "its next page is no address"))?;
                // A page elsewhere would be asked with our token.
                if !self.is_hub(&next) {
                    return Err(invalid(&url, "its next page is on another host"));
                }
                Some(next)
            }
            None => None,
        };
        let mut body = Vec::new();
        let mut response = answer.response;
        while let Some(piece) = response.chunk().await.map_err(|error| broken(&url, &error))? {
            if body.len() + piece.len() > MAX_BODY_BYTES {
                return Err(invalid(&url, "its answer is too large"));
            }
            body.extend_from_slice(&piece);
        }
        let document = serde_json::from_slice(&body)
            .map_err(|error| invalid(&url, &format!("no document came: {error}")))?;
        Ok((document, next))
    }
}

fn listed(entry: Entry) -> Result<TreeFile, String> {
    let path = RelativePath::new(entry.path).map_err(|error| error.to_string())?;
    let (digest, size) = match &entry.lfs {
        Some(lfs) => (Digest::new(DigestAlgorithm::Sha256, lfs.oid.trim_start_matches("sha256:")), lfs.size),
        None => (Digest::new(DigestAlgorithm::GitSha1, &entry.oid), entry.size),
    };
    let digest = digest.map_err(|error| format!("`{path}`: {error}"))?;
    // What is no hash is none: the file is to be had without.
    let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(TreeFile { path, size, digest, xet_hash: entry.xet_hash.filter(is_hash) })
}

/// The address in `Link: <…>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains("rel=\"next\"").then(|| address.to_owned())
    })
}

/// A failure that names the choices that there are.
pub(crate) fn unknown(what: String, choices: &[String]) -> FetchError {
    let hint = if choices.is_empty() {
        "the repository has no such files".to_owned()
    } else {
        format!("there are: {}", choices.join(", "))
    };
    FetchError::new(FetchErrorKind::NotFound, what).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_page() {
        assert_eq!(
            next_page("<https://h/a?cursor=x>; rel=\"next\"").as_deref(),
            Some("https://h/a?cursor=x")
        );
        assert_eq!(next_page("<a>; rel=\"prev\", <b>; rel=\"next\"").as_deref(), Some("b"));
        assert_eq!(next_page("nonsense"), None);
    }
}
