//! A hub, a cache, and a provisioner that may ask the one and fill the other.

use std::{path::PathBuf, time::Duration};

use model_provisioner::{
    Error, HubFetcher, HubSettings, ModelProvisioner, Network, Policy, ProvisionerBuilder, TransferSettings,
};
use testkit::Hub;

pub(crate) struct Workbench {
    dir: tempfile::TempDir,
    pub(crate) hub: Hub,
}

impl Workbench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), hub: Hub::start() }
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub(crate) fn builder(&self) -> ProvisionerBuilder {
        let hub = HubSettings::new(Some(&self.hub.endpoint())).unwrap();
        ModelProvisioner::builder(self.cache())
            .fetcher(HubFetcher::new(hub))
            .policy(Policy { network: Network::Allow, ..Policy::default() })
            .transfer(settings())
    }

    pub(crate) fn provisioner(&self) -> ModelProvisioner {
        self.builder().build().unwrap()
    }

    /// What is left of unfinished transfers.
    pub(crate) fn partials(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs_err::read_dir(self.cache().join("store-v1/partial")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// Small chunks, and the patience that a loaded machine needs where nothing may be given up.
pub(crate) fn patient() -> TransferSettings {
    TransferSettings { stall: Duration::from_secs(60), ..settings() }
}

/// Small chunks, and little patience.
pub(crate) fn settings() -> TransferSettings {
    TransferSettings {
        chunk_bytes: 1 << 20,
        stall: Duration::from_millis(300),
        retries: 3,
        pause: Duration::from_millis(5),
        ..TransferSettings::default()
    }
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code().as_str()
}

/// Bytes that look like nothing else.
pub(crate) fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from((n * 31 + seed * 7 + n / 251) % 256).unwrap()).collect()
}
