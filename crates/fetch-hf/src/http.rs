//! Requests, redirects, and what their failures mean.
//!
//! # Redirects
//! They are followed here, at most ten: never from `https:` to `http:`, and with the token only for as long as every hop
//! so far was at the endpoint's own origin. Every hop is at a host that the policy allows; and one that leads from a public
//! host to an address inside of a network, such as `169.254.169.254`, is followed only where the policy names it.
//!
//! # The token
//! A token that a login left in a file is sent unasked, and expires. Where the hub says that it is no good, the hub is asked
//! once more without it, and from then on. One that the caller set is the caller's to mend: that is an error.

use std::{
    error::Error as StdError,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use provisioner_core::{ByteRange, FetchError, FetchErrorKind, HostPolicy};
use reqwest::{
    Response, StatusCode, Url,
    header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RANGE},
};

use crate::{
    HubSettings, Token,
    connections::{Connections, Pool},
    rate_limit::LeftAlone,
    refusal::{Identity, Refusal, left_alone},
};

const MAX_REDIRECTS: usize = 10;

/// A client of one hub.
#[derive(Debug)]
pub(crate) struct Http {
    connections: Connections,
    settings: HubSettings,
    /// The hosts that the policy allows; `None` where the fetcher was not told of any.
    hosts: Option<HostPolicy>,
    left_alone: LeftAlone,
    /// The hub does not take the token, and is asked without it from then on.
    is_token_expired: AtomicBool,
}

/// An answer, and the address that gave it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) url: Url,
}

impl Http {
    pub(crate) fn new(settings: HubSettings) -> Self {
        Self {
            connections: Connections::new(&settings),
            settings,
            hosts: None,
            left_alone: LeftAlone::default(),
            is_token_expired: AtomicBool::new(false),
        }
    }

    pub(crate) fn confine(&mut self, hosts: &HostPolicy) {
        self.hosts = Some(hosts.clone());
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.settings.token.as_ref()
    }

    /// An error as it may be told: without the token, whatever the server repeated.
    pub(crate) fn redacted(&self, error: FetchError) -> FetchError {
        match self.token() {
            Some(token) => token.redact_error(error),
            None => error,
        }
    }

    pub(crate) fn endpoint(&self) -> &Url {
        &self.settings.endpoint
    }

    /// How long a connection may be silent.
    pub(crate) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// How long an answer of the API may take in all.
    pub(crate) fn api_deadline(&self) -> Duration {
        self.settings.api_deadline()
    }

    /// Whether an address is of the hub itself.
    pub(crate) fn is_hub(&self, url: &Url) -> bool {
        url.origin() == self.settings.endpoint.origin()
    }

    /// Gets an address, following redirects, and returns the first answer that is a success.
    pub(crate) async fn get(&self, url: Url, range: ByteRange, pool: Pool) -> Result<Answer, FetchError> {
        let home = Some(url.clone()).filter(|url| self.is_hub(url));
        let page = home.as_ref().and_then(|home| self.page_of(home));
        let (mut url, mut way_back) = (url, home);
        let mut at_home = true;
        for _ in 0..=MAX_REDIRECTS {
            self.check_host(&url)?;
            if let Some(left) = self.left_alone.left(&url) {
                return Err(left_alone(&self.settings, &url, left));
            }
            at_home &= self.is_hub(&url);
            let identity = self.identity(at_home);
            let headers = self.headers(range, identity == Identity::Known)?;
            let sent = self.connections.get(pool, &url, headers).await;
            let response = sent.map_err(|error| unreachable(&url, &error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(Answer { response, url });
            }
            if status.is_redirection() {
                url = self.next(&url, response.headers())?;
                continue;
            }
            let (settings, page) = (&self.settings, page.as_ref());
            let refusal = Refusal { settings, identity, url: &url, response: &response, page };
            if let Some(wait) = refusal.wait() {
                self.left_alone.leave(&url, wait);
            }
            if refusal.is_of_token() && settings.token_origin.is_ambient() {
                self.go_on_without_token();
                continue;
            }
            // Where the hub sends us is good for a while: it may have been over before we came.
            let may_be_over = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
            match way_back.take_if(|_| may_be_over && !self.is_hub(&url)) {
                Some(home) => (url, at_home) = (home, true),
                None => return Err(refusal.error()),
            }
        }
        let hint = "check HF_ENDPOINT, and what stands between here and there";
        Err(invalid(&url, "it redirects for ever").with_hint(hint))
    }

    /// The headers of a request, with the token where it may go.
    fn headers(&self, range: ByteRange, with_token: bool) -> Result<HeaderMap, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(token) = self.settings.token.as_ref().filter(|_| with_token) {
            let value = HeaderValue::try_from(format!("Bearer {}", token.reveal()));
            let mut value = value.map_err(|_| not_a_token())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers.extend(header_of(range).map(|range| (RANGE, range)));
        Ok(headers)
    }

    /// As whom a request is made.
    fn identity(&self, at_home: bool) -> Identity {
        match &self.settings.token {
            None => Identity::Anonymous,
            Some(_) if !at_home => Identity::Withheld,
            Some(_) if self.is_token_expired.load(Ordering::Relaxed) => Identity::Expired,
            Some(_) => Identity::Known,
        }
    }

    /// A token that came along unasked is no longer sent: what is public is to be had without it.
    fn go_on_without_token(&self) {
        if !self.is_token_expired.swap(true, Ordering::Relaxed) {
            let origin = &self.settings.token_origin;
            let remedy = origin.remedy();
            tracing::warn!("{origin} is invalid or has expired, so the hub is asked without it; {remedy}");
        }
    }

    /// Where a redirect leads.
    fn next(&self, url: &Url, headers: &HeaderMap) -> Result<Url, FetchError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| invalid(url, "it redirects to nowhere"))?;
        let next = url.join(location).map_err(|_| invalid(url, "it redirects to what is no address"))?;
        if !next.username().is_empty() || next.password().is_some() {
            return Err(invalid(url, "it redirects to an address with credentials"));
        }
        if is_inside(&next) && !is_inside(url) && !self.is_limited() {
            return Err(invalid(url, "it redirects to an address inside of a network"));
        }
        match (url.scheme(), next.scheme()) {
            (_, "https") | ("http", "http") => Ok(next),
            _ => Err(invalid(url, "it redirects away from https")),
        }
    }

    /// Whether the policy names the hosts.
    fn is_limited(&self) -> bool {
        self.hosts.as_ref().is_some_and(HostPolicy::is_limited)
    }

    /// Whether the policy allows the host of an address.
    fn check_host(&self, url: &Url) -> Result<(), FetchError> {
        let host = url.host_str().unwrap_or_default();
        self.hosts.as_ref().map_or(Ok(()), |hosts| hosts.check(host))
    }
}

fn not_a_token() -> FetchError {
    let message = "the token has characters that no token has, such as a line break in the middle";
    FetchError::new(FetchErrorKind::Unauthorized, message)
        .with_hint("set HF_TOKEN, or write the file that HF_TOKEN_PATH names, to the token and nothing else")
}

/// The range as a header; none for a whole file.
fn header_of(range: ByteRange) -> Option<HeaderValue> {
    let text = match (range.start, range.end) {
        (0, None) => return None,
        (start, None) => format!("bytes={start}-"),
        (start, Some(end)) => format!("bytes={start}-{}", end.saturating_sub(1)),
    };
    HeaderValue::try_from(text).ok()
}

/// Whether an address names this machine, or one of a network around it, by its number.
pub(crate) fn is_inside(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
    match host.parse().map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => is_inside_v4(ip),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_unspecified()
                // Translated by the network itself, to wherever it likes (RFC 8215).
                || ip.segments().starts_with(&[0x64, 0xff9b, 1])
                || v4_within(ip).is_some_and(is_inside_v4)
        }
        // Names below it are this machine too (RFC 6761).
        Err(_) => host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost")),
    }
}

/// What the IANA's registry of special addresses does not call global, as far as a machine may have it.
fn is_inside_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_broadcast()
        // This network, that of a carrier, that of a protocol, and that of measurements.
        || matches!(ip.octets(), [0, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..])
}

/// The IPv4 address to which an IPv6 address leads: a compatible one, one of NAT64 (RFC 6052) or of 6to4 (RFC 3056).
fn v4_within(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// A connection that failed: later, perhaps; but not where a certificate is wrong.
fn unreachable(url: &Url, error: &reqwest::Error) -> FetchError {
    let mut causes = String::new();
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(cause) = next {
        causes = format!("{causes}: {cause}");
        next = cause.source();
    }
    let is_tls =
        ["certificate", "handshake", "InvalidContentType", "tls"].iter().any(|word| causes.contains(word));
    let kind = match is_tls {
        true => FetchErrorKind::Invalid,
        false if error.is_connect() => FetchErrorKind::Unreachable,
        false => FetchErrorKind::Unavailable,
    };
    let what = if is_tls { "TLS with" } else { "connecting to" };
    let error = FetchError::new(kind, format!("{what} `{}` failed{causes}", shown(url)));
    if !is_tls {
        return error;
    }
    error.with_hint(
        "check HF_ENDPOINT; for a certificate of your organisation's own, set SSL_CERT_FILE to its authority",
    )
}

pub(crate) fn broken(url: &Url, error: &reqwest::Error) -> FetchError {
    FetchError::new(
        FetchErrorKind::Unavailable,
        format!("the connection to `{}` broke: {}", shown(url), error.without_url_text()),
    )
}

pub(crate) fn invalid(url: &Url, what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Invalid, format!("`{}`: {what}", shown(url)))
}

/// An address without what may be secret in it: signed addresses carry their signature in the query.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Neither can fail for an address that has a host.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.to_string()
}

pub(crate) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// An error's text without the address, whose query may be secret.
trait WithoutUrl {
    fn without_url_text(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    fn without_url_text(&self) -> String {
        self.source().map_or_else(|| "it ended early".to_owned(), ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use provisioner_core::Policy;

    use super::*;

    #[test]
    fn signatures_are_not_shown() {
        let url = Url::parse("https://cdn.example/x?Signature=secret#y").unwrap();
        assert_eq!(shown(&url), "https://cdn.example/x");
    }

    #[test]
    fn what_is_inside_of_a_network_is_told_by_its_number() {
        let check = |address: &str| is_inside(&Url::parse(address).unwrap());
        for inside in [
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "hub.localhost",
            "hub.localhost.",
            "127.0.0.1.",
            "0.0.0.0",
            "0.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "198.19.255.255",
            "255.255.255.255",
            "[::]",
            "[::127.0.0.1]",
            "[::10.0.0.1]",
            "[::ffff:100.64.0.1]",
            "[64:ff9b::a00:1]",
            "[64:ff9b::169.254.169.254]",
            "[64:ff9b:1::808:808]",
            "[2002:a00:1::]",
            "[fc00::1]",
            "[fdff::1]",
            "[febf::1]",
        ] {
            assert!(check(&format!("https://{inside}/x")), "{inside}");
        }
        for outside in [
            "8.8.8.8",
            "1.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "172.32.0.0",
            "[2001:db8::1]",
            "[::ffff:8.8.8.8]",
            "[::8.8.8.8]",
            "[64:ff9b::808:808]",
            "[64:ff9b:0:0:1::a00:1]",
            "[2002:808:808::]",
            "[fe00::1]",
            "[fec0::1]",
            "10.example",
            "hub.corp",
            "hub.corp.",
            "localhost.example",
            "notlocalhost",
        ] {
            assert!(!check(&format!("https://{outside}/x")), "{outside}");
        }
    }

    #[test]
    fn https_is_never_left() {
        let mut http = Http::new(HubSettings::new(None).unwrap());
        let next = |http: &Http, location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            http.next(&Url::parse("https://a/x").unwrap(), &headers)
        };
        assert!(next(&http, "http://a/x").is_err());
        assert!(next(&http, "file:///etc/passwd").is_err());
        assert_eq!(next(&http, "/y").unwrap().as_str(), "https://a/y");
        assert!(next(&http, "https://169.254.169.254/y").is_err());
        let policy = Policy { hosts: Some(vec!["10.0.0.1".into()]), ..Policy::default() };
        http.confine(&HostPolicy::new(Arc::new(policy)));
        assert!(next(&http, "https://10.0.0.1/y").is_ok(), "where the policy names it");
    }
}
