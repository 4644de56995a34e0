//! Tells a fetcher which hosts it may connect to.

use std::sync::Arc;

use crate::{
    fetch_error::{FetchError, FetchErrorKind},
    policy_engine::{Decision, PolicyEngine, Question, ask},
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
    /// [`FetchErrorKind::Denied`], with what would allow it.
    pub fn check(&self, host: &str) -> Result<(), FetchError> {
        ask(self.engine.as_ref(), &Question::Host(host)).map_err(|error| FetchError {
            hint: error.hint(),
            ..FetchError::new(FetchErrorKind::Denied, error.to_string())
        })
    }
}
