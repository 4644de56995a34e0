//! Decides which addresses of a storage the fetcher uses.

use source_http::{Url, is_inner};

/// Returns the storage's address, which is as secure as the hub's, and inside of a network only where the hub is.
pub(super) fn storage_address(hub: &Url, text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "its storage has no address")?;
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && hub.scheme() == "http");
    if !is_secure {
        return Err("its storage is not at an https: address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its storage has an address with credentials");
    }
    // As for redirects. A policy that names hosts turns Xet off.
    if is_inner(&url) && !is_inner(hub) {
        return Err("its storage has an address inside of a network");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_storage_of_a_public_hub_is_not_inside_of_a_network() {
        let public = Url::parse("https://hub").unwrap();
        let inside = Url::parse("https://10.0.0.1").unwrap();
        for place in ["https://169.254.169.254", "https://localhost.", "https://[::ffff:10.0.0.2]/cas"] {
            assert!(storage_address(&public, place).is_err(), "{place}");
            assert!(storage_address(&inside, place).is_ok(), "{place}");
        }
        assert!(storage_address(&inside, "https://cas").is_ok());
    }

    #[test]
    fn the_storage_is_as_secure_as_the_hub() {
        let (secure, plain) = (Url::parse("https://hub").unwrap(), Url::parse("http://hub").unwrap());
        assert!(storage_address(&secure, "https://cas").is_ok());
        assert!(storage_address(&plain, "http://cas").is_ok());
        for refused in
            ["http://cas", "local:///etc", "memory://", "file:///etc", "https://a:b@cas", "cas", ""]
        {
            assert!(storage_address(&secure, refused).is_err(), "{refused}");
        }
    }
}
