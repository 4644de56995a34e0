//! Serves models of a made-up scheme from memory. `cargo run --example custom_fetcher` ensures one and prints its path.

#![expect(clippy::print_stdout, reason = "an example")]

use std::{collections::HashMap, sync::Arc, sync::Mutex, sync::PoisonError};

use model_provisioner::{
    ByteRange, Bytes, ContentHasher, Digest, Entry, FetchError, FetchErrorKind, Locator, Manifest,
    ManifestFile, ModelFetcher, ModelProvisioner, Opened, RelativePath, RemoteFile, ResolveRequest,
    async_trait,
};

/// Holds the bytes of each model, by its id: `mem:org/repo/file.gguf`. Its clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryFetcher(pub Arc<Mutex<HashMap<String, Bytes>>>);

#[async_trait]
impl ModelFetcher for MemoryFetcher {
    fn schemes(&self) -> &'static [&'static str] {
        &["mem"]
    }

    fn uses_network(&self) -> bool {
        false
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let (id, models) = (request.reference.id(), self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let bytes = match &request.revision {
            Some(pinned) => models.values().find(|bytes| digest(bytes).hex().starts_with(pinned)),
            None => models.get(&id),
        };
        let bytes = bytes.ok_or_else(|| FetchError::new(FetchErrorKind::NotFound, format!("no `{id}`")))?;
        let invalid = |error| FetchError::new(FetchErrorKind::Invalid, "it has no name").because(error);
        let path: RelativePath = id.rsplit('/').next().unwrap_or_default().parse().map_err(invalid)?;
        let (size, digest, entry) = (bytes.len() as u64, digest(bytes), Entry::File(path.clone()));
        let revision = digest.hex()[..40].to_owned();
        let locator = Locator::Streamed(RemoteFile::new(id).with_state(bytes.clone()));
        let file = ManifestFile { path, size, digest: Some(digest), locator };
        let manifest = Manifest::new(request.reference.clone(), vec![file], entry).map_err(invalid)?;
        Ok(manifest.at_revision(revision))
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let Locator::Streamed(remote) = &file.locator else {
            return Err(FetchError::new(FetchErrorKind::Unsupported, "it is not a file of this source"));
        };
        let bytes = remote.state::<Bytes>();
        let bytes = bytes.ok_or_else(|| FetchError::new(FetchErrorKind::Invalid, "it is not in memory"))?;
        Opened::of_bytes(bytes, range)
    }
}

fn digest(bytes: &Bytes) -> Digest {
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    hasher.finish().sha256
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (source, id) = (MemoryFetcher::default(), "mem:demo/tiny/tiny.gguf");
    let model = Bytes::from_static(include_bytes!("tiny.gguf"));
    source.0.lock().map_err(|error| error.to_string())?.insert(id.to_owned(), model);
    let cache = std::env::temp_dir().join("custom-fetcher");
    let provisioner = ModelProvisioner::builder(cache).fetcher(source).build()?;
    println!("{}", provisioner.ensure_present_str(id, None).await?.local_path.display());
    Ok(())
}
