//! Holds what all transfers of one [`Transfer`](crate::Transfer) share.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use tokio::sync::Semaphore;

use crate::{partners::Partners, pause::Pauses, rate::Rate, settings::Settings};

/// How long a place may ask for a pause that is one of several.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// Holds the settings, the connections, the rate and the pauses that all files share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    /// Whether another place has the same bytes, so that this one is soon given up.
    pub(crate) is_one_of_several: bool,
    /// One permit for each range that may be open.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) rate: Arc<Rate>,
    pub(crate) pauses: Arc<Pauses>,
    /// Where the threads that hash meet.
    pub(crate) partners: Arc<Partners>,
}

impl Context {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let connections = Arc::new(Semaphore::new(settings.connections.max(1)));
        let rate = Arc::new(Rate::new(settings.bytes_per_second));
        Arc::new(Self {
            settings,
            is_one_of_several: false,
            connections,
            rate,
            pauses: Arc::default(),
            partners: Arc::new(Partners::new(available_parallelism().map_or(1, usize::from))),
        })
    }

    /// Returns how many ranges are open, over all files.
    pub(crate) fn open_ranges(&self) -> usize {
        self.settings.connections.saturating_sub(self.connections.available_permits())
    }

    /// Returns the same context for a place that is one of several.
    pub(crate) fn for_one_of_several(&self) -> Arc<Self> {
        let Settings { retries, max_wait, .. } = self.settings;
        let settings =
            Settings { retries: retries.min(1), max_wait: max_wait.min(SHORT_WAIT), ..self.settings.clone() };
        let (connections, rate) = (Arc::clone(&self.connections), Arc::clone(&self.rate));
        let (pauses, partners) = (Arc::clone(&self.pauses), Arc::clone(&self.partners));
        Arc::new(Self { settings, is_one_of_several: true, connections, rate, pauses, partners })
    }
}
