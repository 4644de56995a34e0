//! How much the store may take.

use std::time::Duration;

use artifact_store::eviction::DEFAULT_GRACE;

/// How much the store may take, and which models eviction leaves alone in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionLimits {
    /// The most that the store may take, in bytes. `None` sets no limit: then only files that no record names go.
    pub max_size_bytes: Option<u64>,
    /// How long a model is left alone after a caller used or recorded it.
    pub grace: Duration,
}

impl Default for EvictionLimits {
    /// Returns no limit of size, and a grace of ten minutes.
    fn default() -> Self {
        Self { max_size_bytes: None, grace: DEFAULT_GRACE }
    }
}
