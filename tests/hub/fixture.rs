//! Prepares a hub, a cache, and a provisioner that may ask the hub and fill the cache.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use model_provisioner::{
    AdoptMode, Adoption, Error, HubFetcher, HubSettings, ModelProvisioner, Network, Policy,
    ProvisionerBuilder, TransferSettings,
};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use testkit::{Hub, gguf_of, hub::Protocol};

pub(crate) struct Fixture {
    dir: tempfile::TempDir,
    pub(crate) hub: Hub,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), hub: Hub::start() }
    }

    /// Makes a fixture whose hub and CDN speak TLS and offer HTTP/2, as the real ones do.
    pub(crate) fn over_tls() -> Self {
        let hub = Hub::start_tls(&[Protocol::Http2, Protocol::Http1]);
        Self { dir: tempfile::tempdir().unwrap(), hub }
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub(crate) fn builder(&self) -> ProvisionerBuilder {
        builder_of(&self.cache(), self.settings())
    }

    fn settings(&self) -> HubSettings {
        let settings = HubSettings::new(Some(&self.hub.endpoint())).unwrap();
        match self.hub.certificate() {
            Some(certificate) => settings.authorities(certificate.as_bytes()).unwrap(),
            None => settings,
        }
    }

    pub(crate) fn provisioner(&self) -> ModelProvisioner {
        self.builder().build().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of another tool, and sets its modification time back by an hour.
    pub(crate) fn foreign(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("foreign").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - Duration::from_secs(3600)).unwrap();
        path
    }

    /// Returns the folders that have those files.
    pub(crate) fn adoption(&self, mode: AdoptMode) -> Adoption {
        let foreign = self.path("foreign");
        let place = |name: &str| vec![foreign.join(name)];
        let (huggingface, ollama, folders) = (place("hub"), place("ollama"), place("plain"));
        Adoption { mode, huggingface, ollama, folders, ..Adoption::default() }
    }

    /// Returns a provisioner that adopts those files.
    pub(crate) fn adopter(&self, mode: AdoptMode) -> ModelProvisioner {
        let caches = if mode == AdoptMode::Off { Vec::new() } else { vec![self.path("foreign/hub")] };
        let settings = self.settings().caches(caches);
        builder_of(&self.cache(), settings).adopt(self.adoption(mode)).build().unwrap()
    }

    /// Returns what the other tools see of their files: bytes, mode, owner and modification time, by path.
    pub(crate) fn seen_by_others(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, u32, i64, i64)> {
        let mut seen = BTreeMap::new();
        look(&self.path("foreign"), &mut |path| {
            let stat = fs_err::metadata(path).unwrap();
            let what =
                (fs_err::read(path).unwrap(), stat.mode(), stat.uid(), stat.mtime(), stat.mtime_nsec());
            seen.insert(path.to_owned(), what);
        });
        seen
    }

    /// Reads the lines of the provenance log.
    pub(crate) fn provenance(&self) -> Vec<serde_json::Value> {
        let text = fs_err::read_to_string(self.cache().join("provenance.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Lists the partials of unfinished transfers.
    pub(crate) fn partials(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs_err::read_dir(self.cache().join("store-v1/partial")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// Returns settings that soon give up a hub which is silent. On a loaded machine an honest hub is silent for as long.
pub(crate) fn hasty() -> TransferSettings {
    TransferSettings { stall: Duration::from_millis(300), ..settings() }
}

/// Returns settings with small chunks and few retries, and with the time that a loaded machine needs.
pub(crate) fn settings() -> TransferSettings {
    TransferSettings {
        chunk_bytes: 1 << 20,
        stall: Duration::from_secs(60),
        retries: 3,
        pause: Duration::from_millis(5),
        ..TransferSettings::default()
    }
}

fn look(folder: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { look(&path, see) } else { see(&path) }
    }
}

/// Writes other bytes of the same length into a file, in place, and sets its modification time back.
pub(crate) fn rewrite_in_place(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let modified = fs_err::metadata(path).unwrap().modified().unwrap();
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_modified(modified).unwrap();
}

pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns how many bytes of files the hub and its CDN sent.
pub(crate) fn content_sent(bench: &Fixture) -> u64 {
    bench.hub.requests().iter().filter(|seen| seen.file.is_some()).map(testkit::hub::Seen::sent_bytes).sum()
}

/// Computes git's id of a blob.
pub(crate) fn git_sha1(bytes: &[u8]) -> String {
    hex::encode(Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
}

/// Begins a provisioner of a cache and a hub.
pub(crate) fn builder_at(cache: &Path, endpoint: &str) -> ProvisionerBuilder {
    builder_of(cache, HubSettings::new(Some(endpoint)).unwrap())
}

fn builder_of(cache: &Path, hub: HubSettings) -> ProvisionerBuilder {
    ModelProvisioner::builder(cache)
        .fetcher(HubFetcher::new(hub))
        .policy(Policy { network: Network::Allow, ..Policy::default() })
        .transfer(settings())
}

/// Returns a provisioner whose chunks come one behind the other, so that those before a refusal are whole.
pub(crate) fn one_by_one(bench: &Fixture) -> ModelProvisioner {
    let settings = TransferSettings { connections: 1, ..settings() };
    bench.builder().transfer(settings).build().unwrap()
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code().as_str()
}

/// Makes a GGUF of so many bytes, with others for another seed.
pub(crate) fn bytes(len: usize, seed: usize) -> Vec<u8> {
    gguf_of(len, seed)
}
