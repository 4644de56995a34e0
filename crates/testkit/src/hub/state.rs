//! What the hub's owner and its connections share.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{account::Accounts, fault::Fault, ledger::Ledger, repo::Repos, signature::Signatures, tls::Tls};

/// The state of a hub, and what does not change while it runs.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    hub: SocketAddr,
    cdn: SocketAddr,
    /// `None` for plain HTTP.
    pub(super) tls: Option<Tls>,
    rate: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) repos: Repos,
    pub(super) accounts: Accounts,
    pub(super) signatures: Signatures,
    pub(super) faults: Vec<Fault>,
    pub(super) ledger: Ledger,
    pub(super) settings: Settings,
    pub(super) pages_without_end: u64,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) granted: BTreeSet<String>,
    pub(super) expired: BTreeSet<String>,
    pub(super) page_size: usize,
    pub(super) cdn_refuses_authorization: bool,
    pub(super) resolve_cache: bool,
    pub(super) xet_cas: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            granted: BTreeSet::new(),
            expired: BTreeSet::new(),
            page_size: 1000,
            cdn_refuses_authorization: false,
            resolve_cache: false,
            xet_cas: None,
        }
    }
}

impl Shared {
    /// Makes the state of a hub that listens at these addresses.
    pub(super) fn new(hub: SocketAddr, cdn: SocketAddr, tls: Option<Tls>) -> Self {
        Self { state: Mutex::default(), hub, cdn, tls, rate: AtomicU64::new(0) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme(), self.hub)
    }

    pub(super) fn cdn_endpoint(&self) -> String {
        format!("{}://{}", self.scheme(), self.cdn)
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Limits each connection to so many bytes per second; 0 lifts the limit.
    pub(super) fn limit_rate(&self, bytes_per_s: u64) {
        self.rate.store(bytes_per_s, Ordering::Relaxed);
    }

    /// Returns the limit, in bytes per second and connection; 0 means that there is none.
    pub(super) fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }
}
