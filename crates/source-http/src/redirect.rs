//! Decides where a redirect may lead: never from `https:` to `http:`, and never from a public host to an address inside
//! of a network, such as `169.254.169.254`, unless the policy names hosts.

use provisioner_core::FetchError;
use reqwest::{
    Url,
    header::{HeaderMap, LOCATION},
};

use crate::{address::is_inner, error::invalid};

/// Returns the address to which a redirect leads.
///
/// The client checks the host of that address against the policy before it asks there. `is_limited` says that the policy
/// names hosts: then it names the inner ones too.
///
/// # Errors
/// [`FetchErrorKind::Invalid`](provisioner_core::FetchErrorKind::Invalid) for a redirect without an address, and for one
/// that a client must not follow.
pub(crate) fn target(url: &Url, headers: &HeaderMap, is_limited: bool) -> Result<Url, FetchError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| invalid(url, "it redirects to nowhere"))?;
    let next =
        url.join(location).map_err(|_| invalid(url, "it redirects to something that is not an address"))?;
    if !next.username().is_empty() || next.password().is_some() {
        return Err(invalid(url, "it redirects to an address with credentials"));
    }
    if is_inner(&next) && !is_inner(url) && !is_limited {
        return Err(invalid(url, "it redirects to an address inside of a network"));
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
        let next = |is_limited: bool, location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            target(&Url::parse("https://a/x").unwrap(), &headers, is_limited)
        };
        assert!(next(false, "http://a/x").is_err());
        assert!(next(false, "file:///etc/passwd").is_err());
        assert_eq!(next(false, "/y").unwrap().as_str(), "https://a/y");
        assert!(next(false, "https://169.254.169.254/y").is_err());
        assert!(next(true, "https://10.0.0.1/y").is_ok(), "where the policy names it");
    }
}
