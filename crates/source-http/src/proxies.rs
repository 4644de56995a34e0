//! Finds the proxy of an address among those that the machine's environment names.

use std::fmt;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// Holds the proxies that the machine's environment names, by the rules of hyper-util, as most clients in Rust read them.
pub(crate) struct Proxies(Matcher);

impl Proxies {
    /// Reads the environment.
    pub(crate) fn of_environment() -> Self {
        Self(Matcher::from_system())
    }

    /// Returns the proxy of an address; `None` where a client connects to the server itself.
    pub(crate) fn of(&self, server: &Uri) -> Option<Intercept> {
        self.0.intercept(server)
    }

    #[cfg(test)]
    pub(crate) fn named(https: &str, exempt: &str) -> Self {
        Self(Matcher::builder().https(https.to_owned()).no(exempt.to_owned()).build())
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}
