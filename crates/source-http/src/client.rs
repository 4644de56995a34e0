//! Sends requests, follows redirects, and explains their failures.
//!
//! # Redirects
//! The client follows at most ten. It sends the token only for as long as every hop so far was at the endpoint's own origin,
//! and asks each hop's host only where the policy allows that host. `redirect` has the rules for a single hop.
//!
//! # The token
//! The client sends a token that a login left in a file unasked, and such a token expires. Where the source refuses it,
//! the client asks once more without it, and leaves it out from then on. The caller renews a token that it sets: its
//! refusal is an error.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use provisioner_core::{ByteRange, FetchError, FetchErrorKind, HostPolicy, Token, TokenOrigin};
use url::Url;

use crate::{
    address::MAX_HOST_CHARS,
    answer::Answer,
    connections::{Connections, Pool},
    dialect::{Dialect, Trouble, error_of, not_asked, with_remedy},
    error::{SendError, invalid, not_carried, unreachable},
    guard::NetworkGuard,
    range::header_of,
    rate_limit::RateLimits,
    redirect,
    refusal::{Identity, Refusal},
    settings::HttpSettings,
};

const MAX_REDIRECTS: usize = 10;

/// Asks one source, and whichever hosts it redirects to.
///
/// It opens no connection before the first request.
#[derive(Debug)]
pub struct HttpClient {
    connections: Arc<Connections>,
    settings: HttpSettings,
    dialect: Box<dyn Dialect>,
    /// The hosts that the policy allows; `None` where the caller names no policy.
    hosts: Option<HostPolicy>,
    guard: NetworkGuard,
    rate_limits: RateLimits,
    /// Whether the source has refused the token. The client leaves it out from then on.
    is_token_expired: AtomicBool,
}

impl HttpClient {
    /// Returns a client for the source of these settings, which speaks this dialect.
    pub fn new(settings: HttpSettings, dialect: impl Dialect) -> Self {
        let guard = NetworkGuard::new(&settings.endpoint);
        Self {
            connections: Arc::new(Connections::new(&settings, &guard)),
            guard,
            settings,
            dialect: Box::new(dialect),
            hosts: None,
            rate_limits: RateLimits::default(),
            is_token_expired: AtomicBool::new(false),
        }
    }

    /// Limits the client to the hosts that the policy allows.
    pub fn confine(&mut self, hosts: &HostPolicy) {
        self.hosts = Some(hosts.clone());
        self.guard.confine(hosts);
        self.connections = Arc::new(Connections::new(&self.settings, &self.guard));
    }

    /// Resolves names with another guard.
    #[cfg(test)]
    pub(crate) fn guard_with(&mut self, guard: NetworkGuard) {
        self.connections = Arc::new(Connections::new(&self.settings, &guard));
        self.guard = guard;
    }

    /// Returns a client of another server, which the source names, with a token of that server. The two share the connections, the
    /// guard and the policy's hosts: what the source names may be no more than where it redirects to.
    #[must_use]
    pub fn beside(&self, endpoint: Url, token: Option<Token>, dialect: impl Dialect) -> Self {
        let mut settings = self.settings.clone();
        (settings.endpoint, settings.token, settings.token_origin) = (endpoint, token, TokenOrigin::Given);
        Self {
            connections: Arc::clone(&self.connections),
            settings,
            dialect: Box::new(dialect),
            hosts: self.hosts.clone(),
            guard: self.guard.clone(),
            rate_limits: RateLimits::default(),
            is_token_expired: AtomicBool::new(false),
        }
    }

    /// Returns the settings of this client.
    pub fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// Returns the address below which the source's API is.
    pub fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    /// Returns the token, where there is one.
    pub fn token(&self) -> Option<&Token> {
        self.settings.token.as_ref()
    }

    /// Returns an error without the token, whatever the server repeated of it.
    pub fn redacted(&self, error: FetchError) -> FetchError {
        match self.token() {
            Some(token) => token.redact_error(error),
            None => error,
        }
    }

    /// Returns whether an address is at the endpoint's own origin.
    pub fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.settings.endpoint.origin()
    }

    /// Returns the source's name as it stands within a sentence.
    pub(crate) fn name(&self) -> &str {
        self.dialect.name()
    }

    /// Gets an address, follows redirects, and returns the first answer that is a success.
    ///
    /// It retries only in two cases. A redirect target that refuses may be a signed address that has expired, so the
    /// client asks the source once more. Where the source refuses the token of a login's file, the client asks once more
    /// without it.
    ///
    /// # Errors
    /// [`FetchErrorKind::Denied`] for a host that the policy does not allow; [`FetchErrorKind::Unreachable`],
    /// [`FetchErrorKind::Unavailable`] and [`FetchErrorKind::RateLimited`] where another try may help; [`FetchErrorKind::Invalid`] for an answer that breaks the
    /// rules; and what the [`Dialect`] makes of a refusal. The error may repeat the token: [`redacted`](Self::redacted) takes
    /// it out.
    pub async fn get(&self, url: Url, range: ByteRange, pool: Pool) -> Result<Answer, FetchError> {
        self.follow(url, range, pool, |url, wait| self.rate_limits.pause(url, wait)).await
    }

    /// Gets an address as [`get`](Self::get) does. A pause that a server asks for is in the error alone, and delays no other request.
    pub(crate) async fn get_apart(
        &self,
        url: Url,
        range: ByteRange,
        pool: Pool,
    ) -> Result<Answer, FetchError> {
        self.follow(url, range, pool, |_, _| ()).await
    }

    /// Returns whether the client sends nothing to an address for now, for its origin asked for a pause.
    pub fn is_paused(&self, url: &Url) -> bool {
        self.rate_limits.left(url).is_some()
    }

    /// Gets an address, and gives a pause that a server asks for to `pause`.
    async fn follow(
        &self,
        url: Url,
        range: ByteRange,
        pool: Pool,
        pause: impl Fn(&Url, Duration),
    ) -> Result<Answer, FetchError> {
        let asked = url.clone();
        let (mut url, mut way_back) = (url, Some(asked.clone()).filter(|url| self.is_own(url)));
        let mut is_at_endpoint = true;
        for _ in 0..=MAX_REDIRECTS {
            self.check_host(&url)?;
            if let Some(left) = self.rate_limits.left(&url) {
                return Err(not_asked(self.dialect.as_ref(), &self.settings, &url, left));
            }
            is_at_endpoint &= self.is_own(&url);
            let identity = self.identity(is_at_endpoint);
            let headers = self.headers(range, identity == Identity::Authenticated)?;
            let sent = self.connections.get(pool, &url, headers).await;
            let response = sent.map_err(|error| self.unreachable(&url, &error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(Answer { response, url, patience: self.settings.timeout });
            }
            if status.is_redirection() {
                url = redirect::target(&url, response.headers())?;
                continue;
            }
            let (settings, headers) = (&self.settings, response.headers());
            let refusal = Refusal { settings, identity, asked: &asked, url: &url, status, headers };
            if let Some(wait) = refusal.wait() {
                pause(&url, wait);
            }
            if self.dialect.refuses_token(&refusal) && settings.token_origin.is_ambient() {
                self.go_on_without_token();
                continue;
            }
            // A redirect target may be a signed address that has expired. The client asks the source once more.
            match way_back.take_if(|_| refusal.is_denied() && !self.is_own(&url)) {
                Some(home) => (url, is_at_endpoint) = (home, true),
                None => return Err(error_of(self.dialect.as_ref(), &refusal)),
            }
        }
        let error = invalid(&url, "it redirects for ever");
        Err(with_remedy(self.dialect.as_ref(), error, &Trouble::EndlessRedirect))
    }

    /// Returns the headers of a request, with the token where it may go.
    fn headers(&self, range: ByteRange, with_token: bool) -> Result<HeaderMap, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(token) = self.settings.token.as_ref().filter(|_| with_token) {
            let value = HeaderValue::try_from(format!("Bearer {}", token.reveal()));
            let mut value = value.map_err(|_| self.malformed_token())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers.extend(header_of(range).map(|range| (RANGE, range)));
        Ok(headers)
    }

    /// Returns the identity with which the client makes a request.
    fn identity(&self, is_at_endpoint: bool) -> Identity {
        match &self.settings.token {
            None => Identity::Anonymous,
            Some(_) if !is_at_endpoint => Identity::Withheld,
            Some(_) if self.is_token_expired.load(Ordering::Relaxed) => Identity::Expired,
            Some(_) => Identity::Authenticated,
        }
    }

    /// Stops sending a token that the caller did not set: public files need none.
    fn go_on_without_token(&self) {
        if self.is_token_expired.swap(true, Ordering::Relaxed) {
            return;
        }
        let (name, origin) = (self.dialect.name(), &self.settings.token_origin);
        let remedy = self.dialect.remedy(&Trouble::RefusedToken(origin));
        let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
        tracing::warn!("{origin} is invalid or has expired, so {name} is asked without it{remedy}");
    }

    /// Returns an error unless the policy allows the host of an address.
    fn check_host(&self, url: &Url) -> Result<(), FetchError> {
        let host = url.host_str().unwrap_or_default();
        if host.len() > MAX_HOST_CHARS {
            return Err(invalid(url, "no host has so long a name"));
        }
        self.hosts.as_ref().map_or(Ok(()), |hosts| hosts.check(host))?;
        self.guard.check(url)
    }

    fn unreachable(&self, url: &Url, error: &SendError) -> FetchError {
        if let Some(refused) = self.guard.refused(error) {
            return refused;
        }
        if let Some(error) = error.cause() {
            return not_carried(url, *error);
        }
        match unreachable(url, error) {
            (error, true) => with_remedy(self.dialect.as_ref(), error, &Trouble::Tls),
            (error, false) => error,
        }
    }

    fn malformed_token(&self) -> FetchError {
        let message = "the token has characters that no token has, such as a line break in the middle";
        let error = FetchError::new(FetchErrorKind::Unauthorized, message);
        with_remedy(self.dialect.as_ref(), error, &Trouble::MalformedToken)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use provisioner_core::Policy;

    use super::*;
    use crate::dialect::tests::Plain;

    #[test]
    fn an_inner_host_is_asked_only_where_the_policy_names_it() {
        let mut client = HttpClient::new(HttpSettings::new("https://hub").unwrap(), Plain);
        let inner = Url::parse("https://10.0.0.1/y").unwrap();
        let kind = |client: &HttpClient| client.check_host(&inner).err().map(|error| error.kind);
        assert_eq!(kind(&client), Some(FetchErrorKind::Denied));
        let only = |hosts: &[&str]| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            HostPolicy::new(Arc::new(Policy { hosts: Some(hosts), ..Policy::default() }))
        };
        client.confine(&only(&["hub"]));
        assert_eq!(kind(&client), Some(FetchErrorKind::Denied));
        client.confine(&only(&["10.0.0.1"]));
        assert_eq!(kind(&client), None);
        client.confine(&only(&["*.0.0.1"]));
        assert_eq!(kind(&client), Some(FetchErrorKind::Denied), "a pattern does not name it");
    }

    /// A source may redirect to any of them.
    #[tokio::test]
    async fn an_address_that_no_request_can_name_is_told_at_once() {
        let client = HttpClient::new(HttpSettings::new("https://hub").unwrap(), Plain);
        for address in ["https://h{x/".to_owned(), format!("https://h/{}", "a".repeat(1 << 16))] {
            let url = Url::parse(&address).unwrap();
            let error = client.get(url, ByteRange::ALL, Pool::Shared).await.unwrap_err();
            assert_eq!(error.kind, FetchErrorKind::Invalid, "{error}");
        }
    }

    /// An answer has room for an address of 60 KB.
    #[tokio::test]
    async fn an_error_shows_the_beginning_of_a_long_address() {
        let mut client = HttpClient::new(HttpSettings::new("http://127.0.0.1:1").unwrap(), Plain);
        let hosts = Some(vec!["127.0.0.1".to_owned()]);
        client.confine(&HostPolicy::new(Arc::new(Policy { hosts, ..Policy::default() })));
        let long = "a".repeat(60_000);
        for address in [
            format!("http://127.0.0.1:1/{long}"),
            format!("https://{long}/"),
            format!("https://a.{long}.example/x"),
        ] {
            let error =
                client.get(Url::parse(&address).unwrap(), ByteRange::ALL, Pool::Shared).await.unwrap_err();
            let text = format!("{error}");
            assert!(text.len() < 1_000 && text.contains(&address[..300]), "{} bytes: {text}", text.len());
            assert!(error.denial.is_none_or(|denial| denial.value.len() < 1_000));
        }
    }
}
