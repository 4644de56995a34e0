//! Decides which addresses of a storage the fetcher uses.

use source_http::Url;

/// Returns the storage's address, which is as secure as the hub's. The HTTP client looks at its host before each connection.
pub(super) fn storage_address(hub: &Url, text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "its storage has no address")?;
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && hub.scheme() == "http");
    if !is_secure {
        return Err("its storage is not at an https: address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its storage has an address with credentials");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

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
