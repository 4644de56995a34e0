//! The public calls. `fetch`, `resolve` and `read` do the work.

use std::{ops::Range, sync::Arc};

use provisioner_core::{Manifest, ManifestFile, ModelFetcher, ProgressSink, ResolveRequest};

use crate::{
    context::Context,
    error::Result,
    fetch::{Fetched, Place, fetch},
    read::read,
    resolve::resolve,
    settings::Settings,
};

/// Fetches files. Clones share the connections, the rate and the pauses.
#[derive(Clone, Debug)]
pub struct Transfer {
    context: Arc<Context>,
}

impl Transfer {
    /// Returns a transfer with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { context: Context::new(settings) }
    }

    /// Returns a transfer for a place that is one of several with the same bytes. It asks such a place once more at the most, waits
    /// five seconds at the most where the place asks for a pause, and does not fetch a whole file again whose bytes were wrong. The
    /// two share the connections, the rate and the pauses.
    #[must_use]
    pub fn for_one_of_several(&self) -> Self {
        Self { context: self.context.for_one_of_several() }
    }

    /// Returns the manifest of a request, and asks again where that may help. Progress tells of the pauses that the source asks
    /// for.
    ///
    /// # Errors
    /// [`Error::Source`](crate::Error::Source).
    pub async fn resolve(
        &self,
        fetcher: &dyn ModelFetcher,
        request: &ResolveRequest,
        progress: &dyn ProgressSink,
    ) -> Result<Manifest> {
        resolve(&self.context, fetcher, request, progress).await
    }

    /// Fetches one file of the model `id`, and returns the digests of its bytes. Where the bytes have another digest than the
    /// source gives, or the file changes meanwhile, it drops them and fetches the file once more.
    ///
    /// It writes the bytes, and does not sync them.
    ///
    /// # Errors
    /// [`Error`](crate::Error) says which side failed. The bytes that have arrived stay for the next time, unless they were
    /// wrong.
    pub async fn fetch(
        &self,
        fetcher: &dyn ModelFetcher,
        id: &str,
        file: &ManifestFile,
        place: Place,
        progress: &dyn ProgressSink,
    ) -> Result<Fetched> {
        fetch(&self.context, fetcher, id, file, place, progress).await
    }

    /// Returns the bytes of a range of a file of the model `id`, in memory, and asks again where that may help. It compares
    /// them with no digest, so they are good for a look, and not for use. Progress tells of the pauses that the source asks
    /// for.
    ///
    /// # Errors
    /// [`Error::Source`](crate::Error::Source); [`Error::Stalled`](crate::Error::Stalled), also for a source that is too slow
    /// for a look; and [`Error::Answer`](crate::Error::Answer) from a source that does not keep to ranges.
    pub async fn read(
        &self,
        fetcher: &dyn ModelFetcher,
        id: &str,
        file: &ManifestFile,
        range: Range<u64>,
        progress: &dyn ProgressSink,
    ) -> Result<Vec<u8>> {
        read(&self.context, fetcher, id, file, range, progress).await
    }
}
