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
//! # Connections that a server closes
//! A server may close a connection that the client has kept at any time, also on reading the next request (RFC 9112, section 9.3.1).
//! Whether it closes all of them so, no retry over a kept one tells. So the client sends such a request once more, over a fresh
//! connection that no pool keeps: a GET may be repeated. Where a fresh connection is closed, the caller decides.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{
    Extensions, Request, Response, StatusCode, Uri,
    header::{ACCEPT, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT as AGENT},
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::AlertDescription;
use tokio::time::timeout;
use url::Url;

use crate::{
    connector::{Connector, USER_AGENT},
    error::SendError,
    guard::NetworkGuard,
    proxies::{Proxy, ProxyKind},
    settings::HttpSettings,
    tls::{HTTP1, HTTP2, Tls},
    transport::{HasAnswered, MOST_READ_BYTES},
};

/// How long the client waits until a server accepts its connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A file of at most this many bytes is a small one.
const SMALL_BYTES: u64 = 1 << 20;

/// How long a connection is kept without a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

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

type HttpPool = Client<Connector, Empty<Bytes>>;

/// Holds the pools of one client. The first request makes a pool.
#[derive(Debug)]
pub(crate) struct Connections {
    timeout: Duration,
    guard: Arc<NetworkGuard>,
    tls: Arc<Tls>,
    shared: OnceLock<HttpPool>,
    ranges: OnceLock<HttpPool>,
    /// Keeps no connection.
    fresh: OnceLock<HttpPool>,
    /// The origins that speak HTTP/2 alone.
    without_http1: Mutex<HashSet<String>>,
}

impl Connections {
    pub(crate) fn new(settings: &HttpSettings, guard: &NetworkGuard) -> Self {
        Self {
            timeout: settings.timeout,
            guard: Arc::new(guard.clone()),
            tls: Arc::new(Tls::trusting(settings.authorities.clone())),
            shared: OnceLock::new(),
            ranges: OnceLock::new(),
            fresh: OnceLock::new(),
            without_http1: Mutex::default(),
        }
    }

    /// Sends a GET, and follows no redirect.
    ///
    /// # Errors
    /// No answer comes.
    pub(crate) async fn get(
        &self,
        pool: Pool,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, SendError> {
        let origin = url.origin().ascii_serialization();
        let server: Uri = url.as_str().parse()?;
        let proxy = self.guard.proxies().of(&server)?;
        // Through a tunnel, a proxy gets its login when it opens that.
        let reader = proxy.filter(|proxy| proxy.kind == ProxyKind::Http && url.scheme() == "http");
        let request = request(server, headers, reader.as_ref());
        let sent = self.send_to(&origin, pool, request).await?;
        match reader {
            Some(proxy) if sent.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(proxy.refusal().into())
            }
            _ => Ok(sent),
        }
    }

    /// Sends a request over HTTP/1.1 where the pool wants it and the origin speaks it.
    async fn send_to(
        &self,
        origin: &str,
        pool: Pool,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        if pool == Pool::Ranges && !self.without_http1().contains(origin) {
            match self.send(pool, request.clone()).await {
                Err(error) if refuses_http1(&error) => self.without_http1().insert(origin.to_owned()),
                sent => return sent,
            };
        }
        self.send(Pool::Shared, request).await
    }

    /// Sends a request, and once more where the server closed a kept connection on it.
    async fn send(
        &self,
        pool: Pool,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        match self.send_over(self.pool(pool), request.clone()).await {
            Err(error) if is_kept_and_closed(&error) => {
                tracing::debug!(
                    "`{}` closed a connection on a request",
                    request.uri().authority().map_or("", |at| at.as_str())
                );
                self.send_over(self.fresh.get_or_init(|| self.make(&[HTTP2, HTTP1], 0)), request).await
            }
            sent => sent,
        }
    }

    async fn send_over(
        &self,
        pool: &HttpPool,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        let answer = timeout(self.timeout, pool.request(request)).await;
        let answer = answer.map_err(|_| SendError::Silent(self.timeout))??;
        if let Some(has_answered) = answer.extensions().get::<HasAnswered>() {
            has_answered.set();
        }
        Ok(answer)
    }

    fn pool(&self, pool: Pool) -> &HttpPool {
        match pool {
            Pool::Shared => self.shared.get_or_init(|| self.make(&[HTTP2, HTTP1], usize::MAX)),
            Pool::Ranges => self.ranges.get_or_init(|| self.make(&[HTTP1], usize::MAX)),
        }
    }

    /// Makes a pool of connections that offer these protocols, and keeps so many to each server without a request.
    fn make(&self, protocols: &'static [&'static [u8]], kept: usize) -> HttpPool {
        let connect_timeout = CONNECT_TIMEOUT.min(self.timeout);
        let connector = Connector::new(&self.guard, &self.tls, protocols, connect_timeout);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(kept)
            .http1_max_buf_size(MOST_READ_BYTES);
        builder.build(connector)
    }

    fn without_http1(&self) -> MutexGuard<'_, HashSet<String>> {
        self.without_http1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a GET, with its login for the proxy that reads it.
fn request(server: Uri, headers: HeaderMap, reader: Option<&Proxy>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    let all = request.headers_mut();
    *all = headers;
    all.insert(ACCEPT, HeaderValue::from_static("*/*"));
    all.insert(AGENT, HeaderValue::from_static(USER_AGENT));
    let login = reader.and_then(|proxy| proxy.intercept.basic_auth().cloned());
    all.extend(login.map(|login| (PROXY_AUTHORIZATION, login)));
    *request.uri_mut() = server;
    request
}

/// Returns whether a server closed a connection on a request, after it had answered another one there.
fn is_kept_and_closed(error: &SendError) -> bool {
    let SendError::Client(sent) = error else { return false };
    let mut of_connection = Extensions::new();
    if let Some(connection) = sent.connect_info() {
        connection.get_extras(&mut of_connection);
    }
    let is_kept = of_connection.get().is_some_and(HasAnswered::get);
    let is_end = |error: &hyper::Error| error.is_incomplete_message() || error.is_closed();
    is_kept && (error.cause().is_some_and(is_end) || error.cause::<io::Error>().is_some())
}

/// Whether a server refused the handshake because it does not speak HTTP/1.1 (RFC 7301, section 3.2).
fn refuses_http1(error: &SendError) -> bool {
    let refusal = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    error.cause() == Some(&refusal)
}

#[cfg(test)]
mod tests;
