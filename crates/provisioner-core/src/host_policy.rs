//! Tells a fetcher which hosts it may connect to.

use std::sync::Arc;

use crate::{
    fetch_error::FetchError,
    policy_engine::{Decision, PolicyEngine, Question},
};

/// Tells a fetcher which hosts it may connect to.
#[derive(Clone, Debug)]
pub struct HostPolicy {
    engine: Arc<dyn PolicyEngine>,
    is_limited: bool,
}

impl HostPolicy {
    /// Makes the host policy of an engine. It asks the engine once whether any host is allowed.
    pub fn new(engine: Arc<dyn PolicyEngine>) -> Self {
        let is_limited = engine.decide(&Question::AnyHost) != Decision::Allowed;
        Self { engine, is_limited }
    }

    /// Returns whether the policy allows some hosts only.
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Checks that the policy allows a host. A fetcher asks this before each request and for each redirect.
    ///
    /// # Errors
    /// [`FetchErrorKind::Denied`](crate::FetchErrorKind::Denied), with what would allow it.
    pub fn check(&self, host: &str) -> Result<(), FetchError> {
        match self.engine.decide(&Question::Host(host)) {
            Decision::Allowed => Ok(()),
            Decision::Denied(denial) => Err(FetchError::denied(*denial)),
        }
    }

    /// Returns whether the policy names this very host, without a pattern. A fetcher then connects to it inside of a network too.
    pub fn names(&self, host: &str) -> bool {
        self.engine.names_host(host) == Some(true)
    }

    /// Returns where the rule about hosts stands. `None` where there is none.
    pub fn place(&self) -> Option<String> {
        self.engine.place_of("hosts")
    }
}
