//! Makes addresses below the hub's endpoint.

use source_http::Url;

/// Returns an address below the endpoint. Each segment is encoded by itself, a revision with slashes too.
pub(crate) fn address(endpoint: &Url, before: &[&str], repo: &str, after: &[&str]) -> Url {
    let mut url = endpoint.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(before).extend(repo.split('/')).extend(after);
    }
    url
}

/// Returns the page of the repository that one of the hub's addresses is about; `None` for an address that is about none, or
/// is not the hub's.
pub(crate) fn page_of(endpoint: &Url, url: &Url) -> Option<Url> {
    if url.origin() != endpoint.origin() {
        return None;
    }
    let depth = endpoint.path_segments()?.filter(|segment| !segment.is_empty()).count();
    let segments: Vec<_> = url.path_segments()?.skip(depth).collect();
    let segments = segments.strip_prefix(&["api", "models"]).unwrap_or(&segments);
    let is_verb = |segment: &&str| ["revision", "tree", "xet-read-token", "resolve"].contains(segment);
    let end = segments.iter().skip(1).position(is_verb)? + 1;
    Some(address(endpoint, &[], &segments.get(..end)?.join("/"), &[]))
}

/// Returns the reference of the repository and the commit at which an address of the endpoint has a file.
pub(crate) fn reference_at(endpoint: &Url, address: &str) -> Option<String> {
    let below = address.strip_prefix(endpoint.as_str())?.trim_start_matches('/');
    let (repo, file) = below.split_once("/resolve/")?;
    let (commit, _) = file.split_once('/')?;
    Some(format!("hf:{repo}@{commit}"))
}
