//! Connects to servers: over TCP, through the proxy that the machine's environment names, and through TLS.
//!
//! # Names
//! The guard looks at the addresses of every server. Behind an HTTP proxy and behind `socks5h:`, the proxy resolves the server's name,
//! and so only the proxy's own name is resolved here: the operator chose it.

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use futures_util::future::BoxFuture;
use hyper::{
    Uri,
    header::{HeaderMap, HeaderValue, USER_AGENT as AGENT},
};
use hyper_util::{
    client::legacy::connect::{
        HttpConnector,
        dns::Name,
        proxy::{SocksV5, Tunnel},
    },
    rt::TokioIo,
};
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use crate::{
    address::bare_host,
    error::BoxError,
    guard::NetworkGuard,
    proxies::{Proxy, ProxyKind},
    tls::{HTTP1, Tls},
    transport::{OpenConnections, Transport},
};

/// How the client names itself.
pub const USER_AGENT: &str = concat!("model-provisioner/", env!("CARGO_PKG_VERSION"));

/// How long a connection may be silent before the kernel asks whether the other side is there, and how often it asks.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVES: u32 = 3;

/// Connects to the server of an address.
#[derive(Clone)]
pub(crate) struct Connector {
    guard: Arc<NetworkGuard>,
    servers: Direct,
    proxies: Direct,
    timeout: Duration,
    open: OpenConnections,
}

/// Connects to an address without a proxy, through TLS where the address says so.
#[derive(Clone)]
struct Direct {
    tcp: HttpConnector<Resolver>,
    tls: Arc<Tls>,
    /// The protocols that it offers.
    protocols: &'static [&'static [u8]],
}

/// Resolves names.
#[derive(Clone)]
enum Resolver {
    Guarded(Arc<NetworkGuard>),
    /// The operator chose the name.
    Trusting(Arc<NetworkGuard>),
}

impl Connector {
    /// Returns a connector that offers these protocols to servers, and waits so long.
    pub(crate) fn new(
        guard: &Arc<NetworkGuard>,
        tls: &Arc<Tls>,
        protocols: &'static [&'static [u8]],
        timeout: Duration,
    ) -> Self {
        let direct =
            |resolver, protocols| Direct { tcp: tcp(resolver, timeout), tls: Arc::clone(tls), protocols };
        Self {
            guard: Arc::clone(guard),
            servers: direct(Resolver::Guarded(Arc::clone(guard)), protocols),
            proxies: direct(Resolver::Trusting(Arc::clone(guard)), &[HTTP1]),
            timeout,
            open: OpenConnections::default(),
        }
    }

    async fn connect(mut self, server: Uri) -> Result<Transport, BoxError> {
        let Some(proxy) = self.guard.proxies().of(&server)? else { return self.servers.call(server).await };
        let transport = match proxy.kind {
            ProxyKind::Http if is_secure(&server) => tunnel(&proxy, self.proxies, &server).await?,
            ProxyKind::Http => self.proxies.call(proxy.intercept.uri().clone()).await?.proxied(),
            ProxyKind::Socks5 => {
                let found = self.guard.resolve(&bare_host(host_of(&server))).await?;
                let found = found.first().ok_or("the name has no address")?;
                let target = target(&SocketAddr::new(found.ip(), port_of(&server)).to_string())?;
                socks(&proxy, self.proxies, target).await?
            }
            ProxyKind::Socks5h => {
                let target = target(&format!("{}:{}", host_of(&server), port_of(&server)))?;
                socks(&proxy, self.proxies, target).await?
            }
        };
        self.servers.secured(transport, &server).await
    }
}

impl Direct {
    /// Speaks TLS with a server whose address says so.
    async fn secured(&self, transport: Transport, server: &Uri) -> Result<Transport, BoxError> {
        if is_secure(server) {
            return Ok(transport.secured(server, self.tls.offering(self.protocols).await?).await?);
        }
        Ok(transport)
    }
}

/// Asks an HTTP proxy to pass bytes on to a server as they are.
async fn tunnel(proxy: &Proxy, to_proxy: Direct, server: &Uri) -> Result<Transport, BoxError> {
    type TunnelError = <Tunnel<Direct> as Service<Uri>>::Error;
    let agent = HeaderMap::from_iter([(AGENT, HeaderValue::from_static(USER_AGENT))]);
    let mut tunnel = Tunnel::new(proxy.intercept.uri().clone(), to_proxy).with_headers(agent);
    if let Some(login) = proxy.intercept.basic_auth() {
        tunnel = tunnel.with_auth(login.clone());
    }
    tunnel.call(server.clone()).await.map_err(|error| match error {
        TunnelError::ProxyAuthRequired => proxy.refusal().into(),
        error => error.into(),
    })
}

/// Asks a SOCKS proxy for the same (RFC 1928).
async fn socks(proxy: &Proxy, to_proxy: Direct, target: Uri) -> Result<Transport, BoxError> {
    type SocksError = <SocksV5<Direct> as Service<Uri>>::Error;
    let mut socks = SocksV5::new(proxy.intercept.uri().clone(), to_proxy);
    if let Some((user, password)) = proxy.intercept.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    socks.call(target).await.map_err(|error| match error {
        // hyper-util does not export the type of the reason: only its `Debug` has the variant.
        SocksError::V5(reason) if format!("{reason:?}").starts_with("Auth(") => proxy.refusal().into(),
        // The text of hyper-util leaves the reason out.
        SocksError::Inner(error) => error,
        error => error.into(),
    })
}

/// Returns the address that a SOCKS proxy connects to.
fn target(authority: &str) -> Result<Uri, http::Error> {
    Uri::builder().scheme("https").authority(authority).path_and_query("/").build()
}

fn is_secure(server: &Uri) -> bool {
    server.scheme_str() == Some("https")
}

fn host_of(server: &Uri) -> &str {
    server.host().unwrap_or_default()
}

fn port_of(server: &Uri) -> u16 {
    server.port_u16().unwrap_or(if is_secure(server) { 443 } else { 80 })
}

fn tcp(resolver: Resolver, timeout: Duration) -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    // The addresses of a name share the time.
    tcp.set_connect_timeout(Some(timeout));
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVES));
    tcp
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = Transport;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Transport, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let (connector, open, limit) = (self.clone(), self.open.clone(), self.timeout);
        Box::pin(async move {
            match timeout(limit, connector.connect(server)).await {
                Ok(connected) => Ok(connected?.counted_by(&open)),
                Err(_) => Err(format!("no connection came about within {limit:?}").into()),
            }
        })
    }
}

impl Service<Uri> for Direct {
    type Response = Transport;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Transport, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let mut direct = self.clone();
        Box::pin(async move {
            let stream: TokioIo<TcpStream> = direct.tcp.call(server.clone()).await?;
            direct.secured(Transport::plain(stream.into_inner()), &server).await
        })
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<vec::IntoIter<SocketAddr>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move {
            let found = match resolver {
                Self::Guarded(guard) => guard.resolve(name.as_str()).await?,
                Self::Trusting(guard) => guard.look_up(name.as_str()).await?,
            };
            Ok(found.into_iter())
        })
    }
}
