//! Fetches one file into a folder: the chunks that are missing, over several connections.

use std::{
    any::Any,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use provisioner_core::{ContentDigests, Digest, DigestAlgorithm, ManifestFile, ModelFetcher, ProgressSink};
use tokio::sync::watch;

use crate::{
    blocking::blocking,
    chunk::FileFetch,
    concurrency::Hashed,
    connections::Connections,
    context::Context,
    error::{Error, Result},
    hashing::{Follower, follow},
    journal::JournalHeader,
    lock::lock,
    progress::FileProgress,
    sink::Sink,
};

/// The largest size of a small file, in bytes: hashing it takes less time than a thread takes to begin.
const SMALL_BYTES: u64 = 512 << 10;

/// How often the transfer learns how far the hashing is, while the thread hashes as many bytes as the window has: each time wakes
/// the runtime.
const STEPS_OF_WINDOW: u64 = 64;

/// Says where a file's bytes go.
#[derive(Debug)]
pub struct Place {
    /// The file of the bytes.
    pub data: PathBuf,
    /// The file that says which bytes are there.
    pub journal: PathBuf,
    /// The lock that keeps other processes from the two. The last write drops it.
    pub guard: Arc<dyn Any + Send + Sync>,
}

/// Holds the digests of a file that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// The git blob id of its bytes, where its source gives one.
    pub git_sha1: Option<Digest>,
}

/// Fetches one file. [`Transfer::fetch`](crate::Transfer::fetch) says more.
pub(crate) async fn fetch(
    context: &Context,
    fetcher: &dyn ModelFetcher,
    id: &str,
    file: &ManifestFile,
    place: Place,
    progress: &dyn ProgressSink,
) -> Result<Fetched> {
    let header = JournalHeader {
        size: file.size,
        digest: file.digest.as_ref().map(ToString::to_string),
        validator: None,
        boot: String::new(),
    };
    let Place { data, journal, guard } = place;
    let partners = Arc::clone(&context.partners);
    let (sink, header) = blocking(move || Sink::open(&data, &journal, &header, guard, partners)).await?;
    // Bytes that this call did not fetch may be the wrong ones.
    let is_resumed = sink.len() > 0;
    let fetch = FileFetch {
        context,
        fetcher,
        file,
        progress: FileProgress::start(progress, id, file, sink.len()),
        sink: Arc::new(sink),
        header: Mutex::new(header),
        no_ranges: AtomicBool::new(false),
        has_ranges: AtomicBool::new(false),
        connections: Connections::default(),
    };
    match fetch.once().await {
        Err(error @ (Error::Changed { .. } | Error::Mismatch { .. }))
            if context.is_one_of_several && !is_resumed =>
        {
            fetch.restart(None).await?;
            return Err(error);
        }
        Err(error @ (Error::Changed { .. } | Error::Mismatch { .. })) => {
            tracing::warn!("{error}; it is fetched once more");
            fetch.restart(None).await?;
        }
        done => return done,
    }
    match fetch.once().await {
        Err(error @ (Error::Changed { .. } | Error::Mismatch { .. })) => {
            fetch.restart(None).await?;
            Err(error)
        }
        done => done,
    }
}

impl FileFetch<'_> {
    /// Fetches the missing bytes, and compares the digest of all.
    async fn once(&self) -> Result<Fetched> {
        self.progress.show(self.sink.len());
        let (told, hashed) = watch::channel(Hashed::default());
        let follow = self.follower(told);
        // A small file is hashed once it is there: a thread that follows would cost more than the hashing. A file beyond the
        // window would wait for its hashing.
        let is_small = self.file.size <= self.context.settings.window_bytes.min(SMALL_BYTES);
        let digests = if is_small {
            self.fetch_missing(hashed).await?;
            blocking(follow).await
        } else {
            let follower = Follower::start(&self.sink, follow)?;
            self.fetch_missing(hashed).await?;
            follower.finish().await
        };
        let digests = digests?.ok_or_else(|| self.answer("the bytes end early", true))?;
        self.compare(&digests)?;
        Ok(Fetched { sha256: digests.sha256, git_sha1: digests.git_sha1 })
    }

    /// Returns the work of hashing this attempt's bytes.
    fn follower(
        &self,
        told: watch::Sender<Hashed>,
    ) -> impl FnOnce() -> Result<Option<ContentDigests>> + Send + 'static {
        let (sink, epoch, size) = (Arc::clone(&self.sink), self.sink.epoch(), self.file.size);
        let digest = self.file.digest.as_ref();
        let git_ids = digest.is_some_and(|digest| digest.algorithm() == DigestAlgorithm::GitSha1);
        let step_bytes = (self.context.settings.window_bytes / STEPS_OF_WINDOW).max(1);
        move || follow(&sink, epoch, size, git_ids, &told, step_bytes)
    }

    /// Returns an error where the bytes have another digest than the source gives.
    fn compare(&self, digests: &ContentDigests) -> Result<()> {
        let Some(expected) = &self.file.digest else { return Ok(()) };
        let actual = match expected.algorithm() {
            DigestAlgorithm::GitSha1 => digests.git_sha1.as_ref(),
            DigestAlgorithm::Sha256 | DigestAlgorithm::Sha256Tree => Some(&digests.sha256),
        };
        match actual {
            Some(actual) if actual != expected => {
                let (path, expected, actual) = (self.file.path.to_string(), expected.clone(), actual.clone());
                Err(Error::Mismatch { path, expected, actual })
            }
            _ => Ok(()),
        }
    }

    /// Drops all bytes, and begins with the state of the file that `validator` names.
    async fn restart(&self, validator: Option<String>) -> Result<()> {
        // A new attempt learns anew whether the server knows ranges.
        self.no_ranges.store(false, Ordering::Relaxed);
        self.has_ranges.store(false, Ordering::Relaxed);
        let header = {
            let mut header = lock(&self.header);
            header.validator = validator;
            header.clone()
        };
        let sink = Arc::clone(&self.sink);
        blocking(move || sink.restart(&header)).await
    }
}

#[cfg(test)]
mod tests;
