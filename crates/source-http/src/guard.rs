//! Keeps requests out of the networks around this machine.
//!
//! # Model
//! A source may redirect to any address, and a name may resolve to another address each time that it is asked for. So the guard
//! looks at the addresses to which a connection really goes: it is the resolver of the HTTP client, and a name that leads inside of a
//! network never becomes a connection. An address in numbers asks no resolver, and the guard looks at it in the URL.
//!
//! # What is allowed
//! - The endpoint's own host, wherever it is: the operator configured it.
//! - Hosts in the same [`Zone`] as the endpoint: an endpoint on loopback may redirect to loopback, and one in a private network to
//!   that network. Link-local addresses, such as that of a cloud's metadata, are in no such zone.
//! - A host that the `hosts` of the policy name, without a `*`.
//!
//! The name of the proxy that the machine's environment names is not asked of the guard: the operator chose it (`connector`). What
//! the proxy connects to, the proxy decides: it resolves the names, but for a proxy at `socks5:`.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use futures_util::future::BoxFuture;
use provisioner_core::{Denial, FetchError, HostPolicy};
use url::Url;

use crate::{
    address::{Zone, bare_host, zone_of_host, zone_of_ip},
    error::{BoxError, SendError},
    proxies::Proxies,
};

/// Finds the addresses of a name.
type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Keeps the requests of one client out of the networks around this machine.
#[derive(Clone)]
pub(crate) struct NetworkGuard {
    endpoint: String,
    /// The zone of the endpoint, once its name is resolved.
    zone: Arc<OnceLock<Zone>>,
    hosts: Option<HostPolicy>,
    proxies: Arc<Proxies>,
    lookup: Lookup,
}

/// Says that a name leads inside of a network.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` is at `{address}`, inside of a network")]
pub(crate) struct InnerHost {
    host: String,
    address: IpAddr,
}

impl NetworkGuard {
    /// Returns the guard of a client for an endpoint.
    pub(crate) fn new(endpoint: &Url) -> Self {
        let host = bare_host(endpoint.host_str().unwrap_or_default());
        let zone = zone_of_host(&host).map_or_else(OnceLock::new, OnceLock::from);
        Self {
            endpoint: host,
            zone: Arc::new(zone),
            hosts: None,
            proxies: Arc::new(Proxies::of_environment()),
            lookup: Arc::new(|name| Box::pin(system_lookup(name))),
        }
    }

    /// Tells the guard which hosts the policy names.
    pub(crate) fn confine(&mut self, hosts: &HostPolicy) {
        self.hosts = Some(hosts.clone());
    }

    /// Checks the host of an address, as far as the address says where it is.
    ///
    /// # Errors
    /// [`Denied`](provisioner_core::FetchErrorKind::Denied) for a host inside of a network.
    pub(crate) fn check(&self, url: &Url) -> Result<(), FetchError> {
        let host = bare_host(url.host_str().unwrap_or_default());
        let is_inner = zone_of_host(&host).is_some_and(|zone| !self.allows(zone));
        if is_inner && !self.is_named(&host) {
            return Err(self.refusal(&host, None));
        }
        Ok(())
    }

    /// Returns the addresses of a server.
    ///
    /// # Errors
    /// The name has none, or leads inside of a network.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Vec<SocketAddr>, BoxError> {
        let found = self.look_up(name).await?;
        self.judge(name, &found)?;
        Ok(found)
    }

    /// Returns the addresses of a name that the operator chose.
    pub(crate) async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        (self.lookup)(name.to_owned()).await
    }

    /// Returns the proxies of the machine's environment.
    pub(crate) fn proxies(&self) -> Arc<Proxies> {
        Arc::clone(&self.proxies)
    }

    /// Returns the error of a name that led inside of a network, where that is why a connection failed.
    pub(crate) fn refused(&self, error: &SendError) -> Option<FetchError> {
        let InnerHost { host, address } = error.cause()?;
        Some(self.refusal(host, Some(*address)))
    }

    /// Decides whether a client may connect to the addresses of a name. One inner address among them is enough to refuse the name: the
    /// client chooses among them by itself.
    fn judge(&self, host: &str, found: &[SocketAddr]) -> Result<(), InnerHost> {
        let host = bare_host(host);
        if host == self.endpoint {
            if let Some(address) = found.first() {
                self.zone.get_or_init(|| zone_of_ip(address.ip()));
            }
            return Ok(());
        }
        if self.is_named(&host) {
            return Ok(());
        }
        match found.iter().map(SocketAddr::ip).find(|ip| !self.allows(zone_of_ip(*ip))) {
            Some(address) => Err(InnerHost { host, address }),
            None => Ok(()),
        }
    }

    /// Returns whether any host of a zone is allowed.
    fn allows(&self, zone: Zone) -> bool {
        match zone {
            Zone::Public => true,
            Zone::LinkLocal => false,
            Zone::Loopback | Zone::Private => self.zone.get() == Some(&zone),
        }
    }

    /// Returns whether the operator named a host: as the endpoint, or in the policy.
    fn is_named(&self, host: &str) -> bool {
        host == self.endpoint || self.hosts.as_ref().is_some_and(|hosts| hosts.names(host))
    }

    fn refusal(&self, host: &str, address: Option<IpAddr>) -> FetchError {
        let at = address.map(|address| format!(", at `{address}`")).unwrap_or_default();
        let what = format!("the host `{host}`{at}: it is inside of a network, and nothing names it");
        let denial = Denial::new("hosts", host, what);
        let denial =
            denial.with_remedy(format!("if you trust it, add `{host}` itself to the policy's `hosts`"));
        FetchError::denied(match self.hosts.as_ref().and_then(HostPolicy::place) {
            Some(place) => denial.at(place),
            None => denial,
        })
    }
}

impl fmt::Debug for NetworkGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkGuard").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Asks the system for the addresses of a name.
async fn system_lookup(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

#[cfg(test)]
mod tests;
