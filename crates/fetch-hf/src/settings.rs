//! Says which hub the fetcher asks, and with which token.

use std::{path::PathBuf, time::Duration};

use provisioner_core::Result;
use source_http::{HttpSettings, Token, TokenOrigin};

/// The Hub itself, which the fetcher asks unless the caller names another one.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Says which hub a [`HubFetcher`](crate::HubFetcher) asks, and with which token.
///
/// ```
/// use fetch_hf::{HubSettings, Token};
///
/// let settings = HubSettings::new(Some("https://hub.example"))?.token(Token::new("hf_…"));
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HubSettings {
    pub(crate) http: HttpSettings,
    pub(crate) caches: Vec<PathBuf>,
    #[cfg(feature = "xet")]
    pub(crate) xet: bool,
}

impl HubSettings {
    /// Returns the settings for the hub at an endpoint, such as `https://huggingface.co`; `None` is that one.
    ///
    /// # Errors
    /// [`Error::InvalidEndpoint`](provisioner_core::Error::InvalidEndpoint) for a text that is not an `http:` or `https:`
    /// address, or has credentials in it.
    pub fn new(endpoint: Option<&str>) -> Result<Self> {
        Ok(Self {
            http: HttpSettings::new(endpoint.unwrap_or(DEFAULT_ENDPOINT))?,
            caches: Vec::new(),
            #[cfg(feature = "xet")]
            xet: true,
        })
    }

    /// Returns the settings for a mirror of the Hub at an endpoint. A mirror needs no trust: it gets no token, and the fetcher streams
    /// nothing from Xet, whose servers the mirror would name.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn mirror(endpoint: &str) -> Result<Self> {
        let settings = Self::new(Some(endpoint))?;
        #[cfg(feature = "xet")]
        let settings = settings.xet(false);
        Ok(settings)
    }

    /// Trusts the certificates of these authorities, in PEM, beside those of the machine: for a hub with a certificate of an
    /// organisation's own, and for its storage.
    ///
    /// # Errors
    /// [`Error::InvalidEndpoint`](provisioner_core::Error::InvalidEndpoint) where the text has no certificate.
    pub fn authorities(mut self, pem: &[u8]) -> Result<Self> {
        self.http.trust(pem)?;
        Ok(self)
    }

    /// Sets how long a connection may be silent before the fetcher gives it up, and how long it may bring less than
    /// [`MIN_BYTES_PER_S`](provisioner_core::MIN_BYTES_PER_S).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.http.timeout = timeout;
        self
    }

    /// Sets how long an answer of the hub's API may take in all, with its redirects. By default an answer may take five
    /// times the timeout, and a minute at least. A listing of many pages may take four times as long. The bytes of a file
    /// may take as long as they need.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.http.deadline = Some(deadline);
        self
    }

    /// Sets whether the fetcher streams files from Xet that the hub stores there. By default it does. Otherwise it
    /// fetches them by plain HTTP, as it does where Xet fails.
    #[cfg(feature = "xet")]
    #[must_use]
    pub fn xet(mut self, xet: bool) -> Self {
        self.xet = xet;
        self
    }

    /// Names the folders in which the Hub's own tools keep their downloads (`models--…`). Where the caller may not ask the hub,
    /// the fetcher resolves a reference from the listings there. It takes no bytes from them: an `Adoption` of the same folders
    /// does, and either works without the other.
    #[must_use]
    pub fn caches(mut self, caches: Vec<PathBuf>) -> Self {
        self.caches = caches;
        self
    }

    /// Sets the token with which the fetcher asks.
    #[must_use]
    pub fn token(mut self, token: Option<Token>) -> Self {
        self.http.token = token;
        self
    }

    /// Says where the token came from. An error about the token names its origin. Where the token came from a file and the hub
    /// no longer accepts it, the fetcher asks once more without it.
    #[must_use]
    pub fn token_origin(mut self, origin: TokenOrigin) -> Self {
        self.http.token_origin = origin;
        self
    }
}
