//! Decides where a redirect may lead: never from `https:` to `http:`. The policy and the guard decide about its host.

use http::header::{HeaderMap, LOCATION};
use provisioner_core::FetchError;
use url::Url;

use crate::error::invalid;

/// Returns the address to which a redirect leads.
///
/// The client checks the host of that address before it asks there.
///
/// # Errors
/// [`FetchErrorKind::Invalid`](provisioner_core::FetchErrorKind::Invalid) for a redirect without an address, and for one
/// that a client must not follow.
pub(crate) fn target(url: &Url, headers: &HeaderMap) -> Result<Url, FetchError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| invalid(url, "it redirects to nowhere"))?;
    let next =
        url.join(location).map_err(|_| invalid(url, "it redirects to something that is not an address"))?;
    if !next.username().is_empty() || next.password().is_some() {
        return Err(invalid(url, "it redirects to an address with credentials"));
    }
    match (url.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(next),
        _ => Err(invalid(url, "it redirects away from https")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_never_left() {
        let next = |location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            target(&Url::parse("https://a/x").unwrap(), &headers)
        };
        assert!(next("http://a/x").is_err());
        assert!(next("file:///etc/passwd").is_err());
        assert_eq!(next("/y").unwrap().as_str(), "https://a/y");
    }
}
