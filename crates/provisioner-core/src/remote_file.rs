//! Names a file at its source, with what its fetcher knows of it.

use std::{any::Any, borrow::Cow, fmt, sync::Arc};

/// Names a file at its source, for the fetcher that listed it.
///
/// It may carry what the fetcher learned of the file, or learns while it opens it. That state goes when the last clone of the
/// manifest's file goes. Clones share the address.
///
/// ```
/// use provisioner_core::RemoteFile;
///
/// let file = RemoteFile::new("https://example.org/a.gguf").with_state(42_u64);
/// assert_eq!(file.state::<u64>(), Some(&42));
/// assert_eq!(file, RemoteFile::from("https://example.org/a.gguf"));
/// ```
#[derive(Clone)]
pub struct RemoteFile {
    address: Arc<str>,
    state: Option<Arc<dyn Any + Send + Sync>>,
}

impl RemoteFile {
    /// Names a file by an address, which only its fetcher reads.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into().into(), state: None }
    }

    /// Adds what the fetcher knows of the file. All clones share it.
    #[must_use]
    pub fn with_state(self, state: impl Any + Send + Sync) -> Self {
        Self { state: Some(Arc::new(state)), ..self }
    }

    /// Returns the address, as the fetcher wrote it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the host of an address over HTTP, in lower case and without a port. `None` for any other address.
    ///
    /// An IPv6 address comes without its brackets. As for an HTTP client (WHATWG URL, "URL parsing"), the case of the scheme does not
    /// matter, a backslash ends the host, and what stands before the last `@` is a user.
    ///
    /// ```
    /// use provisioner_core::RemoteFile;
    ///
    /// let host = |address: &str| RemoteFile::new(address).host().map(|host| host.into_owned());
    /// assert_eq!(host("https://me@Hub.example:8443/a.gguf").as_deref(), Some("hub.example"));
    /// assert_eq!(host("hf:org/repo@main/a.gguf"), None);
    /// ```
    pub fn host(&self) -> Option<Cow<'_, str>> {
        let (scheme, rest) = self.address.split_once("://")?;
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return None;
        }
        let authority = rest.split(['/', '\\', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.split_once(']')?.0,
            None => host.split(':').next()?,
        };
        let is_lower = !host.contains(|c: char| c.is_ascii_uppercase());
        let host = if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) };
        Some(host).filter(|host| !host.is_empty())
    }

    /// Returns what the fetcher knows of the file. `None` where it has added nothing of that type.
    pub fn state<T: Any>(&self) -> Option<&T> {
        self.state.as_ref()?.downcast_ref()
    }
}

impl From<String> for RemoteFile {
    fn from(address: String) -> Self {
        Self::new(address)
    }
}

impl From<&str> for RemoteFile {
    fn from(address: &str) -> Self {
        Self::new(address)
    }
}

/// Compares addresses alone.
impl PartialEq for RemoteFile {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for RemoteFile {}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteFile").field(&self.address).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_the_one_that_a_client_connects_to() {
        let check = |address: &str, expected: Option<&str>| {
            assert_eq!(RemoteFile::new(address).host().as_deref(), expected, "{address}");
        };
        check("https://hub.example/a?b#c", Some("hub.example"));
        check("http://hub.example", Some("hub.example"));
        check("HTTPS://HUB.example:443/a", Some("hub.example"));
        check("https://user:pass@hub.example:8443/a", Some("hub.example"));
        check("https://one@two@hub.example/a", Some("hub.example"));
        check("https://hub.example/a@other.example", Some("hub.example"));
        check("https://hub.example?x=@other.example", Some("hub.example"));
        check("https://hub.example#@other.example", Some("hub.example"));
        check("https://hub.example\\@other.example/a", Some("hub.example"));
        check("https://[2001:DB8::1]:8443/a", Some("2001:db8::1"));
        check("https://user@[::1]/a", Some("::1"));
        check("https://127.0.0.1:9/a", Some("127.0.0.1"));
        for other in
            ["", "https:", "https://", "https:///a", "https://[::1/a", "hf:org/repo", "s3://bucket/a", "/a"]
        {
            check(other, None);
        }
    }
}
