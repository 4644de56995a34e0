//! Says which endpoint a client asks, with which token, and for how long it waits.

use std::time::Duration;

use provisioner_core::{Error, Result, Token, TokenOrigin};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use url::Url;

/// How long a connection may be silent, unless the caller says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an answer of the API may take at the least.
const MIN_DEADLINE: Duration = Duration::from_secs(60);

/// Configures an [`HttpClient`](crate::HttpClient): its endpoint, its token, and how long it waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpSettings {
    /// The address below which the source's API is.
    pub endpoint: Url,
    /// The token, which goes to the endpoint's own origin alone.
    pub token: Option<Token>,
    /// Says where the token came from.
    pub token_origin: TokenOrigin,
    /// How long a connection may be silent, and how long it may bring less than
    /// [`MIN_BYTES_PER_S`](provisioner_core::MIN_BYTES_PER_S).
    pub timeout: Duration,
    /// How long an answer of the API may take in all; `None` for [`api_deadline`](Self::api_deadline)'s own choice.
    pub deadline: Option<Duration>,
    /// The authorities that the client trusts beside those of the machine.
    pub authorities: Vec<CertificateDer<'static>>,
}

impl HttpSettings {
    /// Returns the settings for an endpoint, such as `https://huggingface.co`, without a token.
    ///
    /// # Errors
    /// [`Error::InvalidEndpoint`] for a text that is not an `http:` or `https:` address, or has credentials in it.
    pub fn new(endpoint: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::InvalidEndpoint { reason: reason.to_owned() };
        let endpoint =
            Url::parse(endpoint.trim_end_matches('/')).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.has_host() {
            return Err(invalid("it is not an http: or https: address"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(invalid("it may not carry a user name or a password"));
        }
        Ok(Self {
            endpoint,
            token: None,
            token_origin: TokenOrigin::Given,
            timeout: DEFAULT_TIMEOUT,
            deadline: None,
            authorities: Vec::new(),
        })
    }

    /// Trusts the certificates of these authorities, in PEM, beside those of the machine.
    ///
    /// # Errors
    /// [`Error::InvalidEndpoint`] where the text has no certificate.
    pub fn trust(&mut self, pem: &[u8]) -> Result<()> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap_or_default();
        if found.is_empty() {
            let reason = "its authority has no certificate in PEM".to_owned();
            return Err(Error::InvalidEndpoint { reason });
        }
        self.authorities.extend(found);
        Ok(())
    }

    /// Returns how long an answer of the API may take in all: five times the timeout, and a minute at least, unless
    /// [`deadline`](Self::deadline) says otherwise.
    pub fn api_deadline(&self) -> Duration {
        self.deadline.unwrap_or_else(|| self.timeout.saturating_mul(5).max(MIN_DEADLINE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_goes_with_the_timeout_unless_it_is_given() {
        let mut settings = HttpSettings::new("https://hub").unwrap();
        assert_eq!(settings.api_deadline(), Duration::from_secs(150));
        settings.timeout = Duration::from_secs(1);
        assert_eq!(settings.api_deadline(), Duration::from_secs(60));
        settings.deadline = Some(Duration::from_secs(2));
        assert_eq!(settings.api_deadline(), Duration::from_secs(2));
    }
}
