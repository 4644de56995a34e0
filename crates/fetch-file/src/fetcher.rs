//! The fetcher of `local:` references: lists the files of a model, and opens them in place.

use std::io::SeekFrom;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use provisioner_core::{
    ByteRange, FetchError, FetchErrorKind, Locator, Manifest, ManifestFile, ModelFetcher, Opened,
    ResolveRequest, Stamp,
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::{error::failed, select::select};

/// How many bytes a piece of a stream has at the most.
const PIECE_BYTES: usize = 256 * 1024;

/// Answers for `local:` references: files and folders on this machine. The caller uses them in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileFetcher;

#[async_trait]
impl ModelFetcher for FileFetcher {
    fn schemes(&self) -> &'static [&'static str] {
        &["local"]
    }

    fn uses_network(&self) -> bool {
        false
    }

    /// The fetcher looks at a file where it lies, each time: there is no other revision of it.
    fn has_revisions(&self) -> bool {
        false
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let reference = request.reference.clone();
        let listed = tokio::task::spawn_blocking(move || select(reference)).await;
        listed.map_err(|error| FetchError::new(FetchErrorKind::Storage, "listing failed").because(error))?
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let Locator::InPlace(path) = &file.locator else {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                format!("`{}` is not on this machine", file.path),
            ));
        };
        let mut opened = tokio::fs::File::open(path).await.map_err(|error| failed(path, error))?;
        let metadata = opened.metadata().await.map_err(|error| failed(path, error))?;
        let size = metadata.len();
        let end = range.end.unwrap_or(size).min(size);
        if !metadata.is_file() || range.start > end {
            let message = format!("`{}` has no bytes from {} to {end}", path.display(), range.start);
            return Err(FetchError::new(FetchErrorKind::Invalid, message));
        }
        opened.seek(SeekFrom::Start(range.start)).await.map_err(|error| failed(path, error))?;
        let stamp = Stamp::of(&metadata);
        let path = path.clone();
        let stream = ReaderStream::with_capacity(opened.take(end - range.start), PIECE_BYTES);
        Ok(Opened {
            range: ByteRange { start: range.start, end: Some(end) },
            total_size: Some(size),
            validator: Some(format!(
                "{}-{}-{}",
                stamp.inode,
                stamp.mtime_ns,
                stamp.ctime_ns.unwrap_or_default()
            )),
            stream: Box::pin(stream.map_err(move |error| failed(&path, error))),
        })
    }
}
