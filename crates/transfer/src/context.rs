//! Holds what all transfers of one [`Transfer`](crate::Transfer) share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{pause::Pauses, rate::Rate, settings::Settings};

/// Holds the settings, the connections, the rate and the pauses that all files share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    /// One permit for each range that may be open.
    pub(crate) connections: Semaphore,
    pub(crate) rate: Rate,
    pub(crate) pauses: Pauses,
}

impl Context {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let connections = Semaphore::new(settings.connections.max(1));
        let rate = Rate::new(settings.bytes_per_second);
        Arc::new(Self { settings, connections, rate, pauses: Pauses::default() })
    }
}
