//! Decides which requests share a connection.
//!
//! # Pools
//! Servers limit each connection, and HTTP/2 puts all requests to a server on one. So ranges of large files use a pool that
//! offers HTTP/1.1 alone: each range that is under way has a connection of its own, and the next range uses a connection that
//! has become free. The API and small files share a connection where the server speaks HTTP/2: a handshake costs more than
//! their bytes do.
//!
//! A server that speaks HTTP/2 alone refuses the handshake of the pool for ranges. From then on it serves ranges from the
//! shared pool, and the client does not try HTTP/1.1 again.
//!
//! # Proxies
//! Both pools use the proxies of the machine's environment, as reqwest reads it.

use std::{
    collections::HashSet,
    error::Error as StdError,
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use reqwest::{Certificate, Client, Response, Url, header::HeaderMap, redirect};
use rustls::AlertDescription;

use crate::{guard::NetworkGuard, settings::HttpSettings};

/// How long the client waits until a server accepts its connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How the client names itself.
pub const USER_AGENT: &str = concat!("model-provisioner/", env!("CARGO_PKG_VERSION"));

/// A file of at most this many bytes is a small one.
const SMALL_BYTES: u64 = 1 << 20;

/// Says which connections a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// One connection to each server, where it speaks HTTP/2.
    Shared,
    /// A connection for each request that is under way.
    Ranges,
}

impl Pool {
    /// Returns the pool for a file of that size, in bytes.
    pub fn of_file(size_bytes: u64) -> Self {
        if size_bytes <= SMALL_BYTES { Self::Shared } else { Self::Ranges }
    }
}

/// Holds the pools of one client. The first request makes a pool: reading the certificates takes longer than finding a present
/// model.
#[derive(Debug)]
pub(crate) struct Connections {
    timeout: Duration,
    authorities: Vec<Certificate>,
    /// Resolves the names.
    guard: Arc<NetworkGuard>,
    shared: OnceLock<Client>,
    ranges: OnceLock<Client>,
    /// The origins that speak HTTP/2 alone.
    without_http1: Mutex<HashSet<String>>,
}

impl Connections {
    pub(crate) fn new(settings: &HttpSettings, guard: &NetworkGuard) -> Self {
        Self {
            guard: Arc::new(guard.clone()),
            timeout: settings.timeout,
            authorities: settings.authorities.clone(),
            shared: OnceLock::new(),
            ranges: OnceLock::new(),
            without_http1: Mutex::default(),
        }
    }

    /// Sends a GET, and follows no redirect.
    pub(crate) async fn get(&self, pool: Pool, url: &Url, headers: HeaderMap) -> reqwest::Result<Response> {
        let origin = url.origin().ascii_serialization();
        if pool == Pool::Ranges && !self.without_http1().contains(&origin) {
            let request = self.client(pool)?.get(url.clone()).headers(headers.clone());
            match request.send().await {
                Err(error) if refuses_http1(&error) => self.without_http1().insert(origin),
                sent => return sent,
            };
        }
        self.client(Pool::Shared)?.get(url.clone()).headers(headers).send().await
    }

    fn client(&self, pool: Pool) -> reqwest::Result<&Client> {
        let place = match pool {
            Pool::Shared => &self.shared,
            Pool::Ranges => &self.ranges,
        };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .read_timeout(self.timeout)
            .dns_resolver(Arc::clone(&self.guard))
            .tls_certs_merge(self.authorities.iter().cloned());
        let builder = if pool == Pool::Ranges { builder.http1_only() } else { builder };
        let client = builder.build()?;
        Ok(place.get_or_init(|| client))
    }

    fn without_http1(&self) -> MutexGuard<'_, HashSet<String>> {
        self.without_http1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server refused the handshake because it does not speak HTTP/1.1 (RFC 7301, section 3.2).
fn refuses_http1(error: &reqwest::Error) -> bool {
    let refusal = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(cause) = next {
        if cause.downcast_ref() == Some(&refusal) {
            return true;
        }
        // What an `io::Error` wraps is not its source.
        next = match cause.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => cause.source(),
        };
    }
    false
}
