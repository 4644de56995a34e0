//! Where a redirect may lead: never from `https:` to `http:`, and never from a public host to an address inside of a
//! network, such as `169.254.169.254`, unless the policy names hosts.

use provisioner_core::{FetchError, Policy};
use reqwest::{
    Url,
    header::{HeaderMap, LOCATION},
};

use crate::{address::is_inner, error::invalid};

/// Returns the address to which a redirect leads.
///
/// The client checks the host of that address against the policy before it asks there. A policy that names hosts names the
/// inner ones too.
///
/// # Errors
/// [`FetchErrorKind::Invalid`](provisioner_core::FetchErrorKind::Invalid) for a redirect without an address, and for one
/// that a client must not follow.
pub(crate) fn target(url: &Url, headers: &HeaderMap, policy: &Policy) -> Result<Url, FetchError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| invalid(url, "it redirects to nowhere"))?;
    let next = url.join(location).map_err(|_| invalid(url, "it redirects to what is no address"))?;
    if !next.username().is_empty() || next.password().is_some() {
        return Err(invalid(url, "it redirects to an address with credentials"));
    }
    if is_inner(&next) && !is_inner(url) && policy.hosts.is_none() {
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
        let next = |policy: &Policy, location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            target(&Url::parse("https://a/x").unwrap(), &headers, policy)
        };
        let any = Policy::default();
        assert!(next(&any, "http://a/x").is_err());
        assert!(next(&any, "file:///etc/passwd").is_err());
        assert_eq!(next(&any, "/y").unwrap().as_str(), "https://a/y");
        assert!(next(&any, "https://169.254.169.254/y").is_err());
        let named = Policy { hosts: Some(vec!["10.0.0.1".into()]), ..Policy::default() };
        assert!(next(&named, "https://10.0.0.1/y").is_ok(), "where the policy names it");
    }
}
