//! Which hub, and as whom.

use std::{path::PathBuf, time::Duration};

use provisioner_core::{Error, Result};
use reqwest::{Certificate, Url};

use crate::{Token, TokenOrigin};

/// The Hub itself.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// How long a connection may be silent.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer of the API has this long at least.
const MIN_DEADLINE: Duration = Duration::from_secs(60);

/// Which hub, and as whom.
#[derive(Clone, Debug)]
pub struct HubSettings {
    pub(crate) endpoint: Url,
    pub(crate) token: Option<Token>,
    pub(crate) token_origin: TokenOrigin,
    pub(crate) timeout: Duration,
    pub(crate) caches: Vec<PathBuf>,
    deadline: Option<Duration>,
    pub(crate) authorities: Vec<Certificate>,
    #[cfg(feature = "xet")]
    pub(crate) xet: bool,
}

impl HubSettings {
    /// The hub at an endpoint, such as `https://huggingface.co`; `None` is that one.
    ///
    /// # Errors
    /// [`Error::InvalidEndpoint`] for what is no `http:` or `https:` address, or one with credentials in it.
    pub fn new(endpoint: Option<&str>) -> Result<Self> {
        let text = endpoint.unwrap_or(DEFAULT_ENDPOINT).trim_end_matches('/');
        let invalid = |reason: &str| Error::InvalidEndpoint { reason: reason.to_owned() };
        let endpoint = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.has_host() {
            return Err(invalid("it is no http: or https: address"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(invalid("it may not carry a user name or a password"));
        }
        Ok(Self {
            endpoint,
            token: None,
            token_origin: TokenOrigin::Given,
            timeout: DEFAULT_TIMEOUT,
            caches: Vec::new(),
            deadline: None,
            authorities: Vec::new(),
            #[cfg(feature = "xet")]
            xet: true,
        })
    }

    /// Trusts the certificates of these authorities, in PEM, beside those of the machine: for a hub with a certificate of an
    /// organisation's own. The client of Xet asks the machine alone.
    ///
    /// # Errors
    /// [`Error::InvalidEndpoint`] where there is no certificate in it.
    pub fn authorities(mut self, pem: &[u8]) -> Result<Self> {
        let found = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if found.is_empty() {
            let reason = "its authority has no certificate in PEM".to_owned();
            return Err(Error::InvalidEndpoint { reason });
        }
        self.authorities.extend(found);
        Ok(self)
    }

    /// How long a connection may be silent before it is given up; and how long it may bring less than
    /// [`MIN_BYTES_PER_S`](provisioner_core::MIN_BYTES_PER_S).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long an answer of the hub's API may take in all, with its redirects: five times the silence that is allowed, and a
    /// minute at least, unless this says otherwise. A listing of many pages may take four times as long; the bytes of a file
    /// may take as long as they must.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    pub(crate) fn api_deadline(&self) -> Duration {
        self.deadline.unwrap_or_else(|| self.timeout.saturating_mul(5).max(MIN_DEADLINE))
    }

    /// Whether files that the hub stores in Xet are fetched from there. They are, unless this says no; then they come by plain
    /// HTTP, as they do where Xet fails.
    #[cfg(feature = "xet")]
    #[must_use]
    pub fn xet(mut self, xet: bool) -> Self {
        self.xet = xet;
        self
    }

    /// Names the folders in which the Hub's own tools keep what they downloaded (`models--…`). Where the hub cannot be asked,
    /// a reference is resolved from the listings there.
    #[must_use]
    pub fn caches(mut self, caches: Vec<PathBuf>) -> Self {
        self.caches = caches;
        self
    }

    /// Speaks as somebody.
    #[must_use]
    pub fn token(mut self, token: Option<Token>) -> Self {
        self.token = token;
        self
    }

    /// Says where the token came from. What the hub says of the token is told with it; and where it came from a file, and the
    /// hub no longer takes it, the hub is asked once more without it.
    #[must_use]
    pub fn token_origin(mut self, origin: TokenOrigin) -> Self {
        self.token_origin = origin;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_goes_with_the_timeout_unless_it_is_given() {
        let settings = HubSettings::new(None).unwrap();
        assert_eq!(settings.api_deadline(), Duration::from_secs(150));
        let quick = settings.timeout(Duration::from_secs(1));
        assert_eq!(quick.api_deadline(), Duration::from_secs(60));
        assert_eq!(quick.deadline(Duration::from_secs(2)).api_deadline(), Duration::from_secs(2));
    }
}
