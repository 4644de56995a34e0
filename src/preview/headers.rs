//! Reads the headers of a manifest's files, on this machine or at the source.
//!
//! # Model
//! `model-inspect` is synchronous, and reads headers on a thread that may block. It asks for bytes of a remote file over
//! a channel to the calling task, which asks the source for a range. So it never blocks the runtime. Where the caller
//! drops the future, the next question gets no answer, and that ends the work.

use std::{io, ops::Range, path::Path};

use model_inspect::{
    ByteSource, Inspection, ListedFile, ModelSource, Seekable, find_pointers, inspect_model, may_stand_for,
};
use provisioner_core::{Entry, Locator, Manifest, ManifestFile, RelativePath};
use tokio::sync::{mpsc, oneshot};

use crate::{context::Context, error::Result};

/// How many bytes of a remote file the first request asks for. Most headers are longer, and a request costs more than
/// this.
const FIRST_READ_BYTES: usize = 256 << 10;

/// Reads the headers of a manifest's files.
pub(super) async fn read_headers(ctx: &Context, manifest: Manifest) -> Result<Inspection> {
    read(ctx, manifest, inspect_model).await
}

/// Returns which files of a manifest are pointers of Git LFS to files that are never so small.
pub(super) async fn read_pointers(ctx: &Context, manifest: &Manifest) -> Result<Vec<String>> {
    if !manifest.files().iter().any(|file| may_stand_for(&file.path, file.size)) {
        return Ok(Vec::new());
    }
    let found = read(ctx, manifest.clone(), find_pointers).await?;
    Ok(found.iter().map(ToString::to_string).collect())
}

/// Lets a reader of models read a manifest's files.
async fn read<T: Send + 'static>(
    ctx: &Context,
    manifest: Manifest,
    reader: fn(&dyn ModelSource) -> model_inspect::Result<T>,
) -> Result<T> {
    let reference = manifest.reference().clone();
    let (id, progress) = (reference.id(), ctx.progress.as_ref());
    let (asks, mut asked) = mpsc::channel(1);
    let source = Listed::new(manifest, asks);
    let work = tokio::task::spawn_blocking(move || reader(&source));
    let mut failure = None;
    // The loop ends with the work, which has the other end.
    while let Some(Ask { file, range, answer }) = asked.recv().await {
        let fetcher = ctx.registry.find(&reference)?;
        let read = ctx.transfer.read(fetcher, &id, &file, range, progress).await.map_err(|error| {
            let told = io::Error::other(error.to_string());
            failure.get_or_insert(error);
            told
        });
        // The thread is gone if the runtime cut the work off; the join below says so.
        let _ = answer.send(read);
    }
    match (work.await?, failure) {
        (Err(_), Some(failure)) => Err(failure.into()),
        (found, _) => Ok(found?),
    }
}

/// Asks for bytes of a remote file.
struct Ask {
    file: ManifestFile,
    range: Range<u64>,
    answer: oneshot::Sender<io::Result<Vec<u8>>>,
}

/// Lists the files of a manifest, for a reader that knows neither sources nor runtimes.
struct Listed {
    manifest: Manifest,
    files: Vec<ListedFile>,
    asks: mpsc::Sender<Ask>,
}

impl Listed {
    fn new(manifest: Manifest, asks: mpsc::Sender<Ask>) -> Self {
        let files = manifest.files().iter();
        let files = files.map(|file| ListedFile {
            path: manifest.entry().seen(&file.path),
            size_bytes: file.size,
            format: None,
        });
        let mut files: Vec<_> = files.collect();
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self { manifest, files, asks }
    }
}

impl ModelSource for Listed {
    fn files(&self) -> &[ListedFile] {
        &self.files
    }

    fn entry(&self) -> Option<&RelativePath> {
        match self.manifest.entry() {
            Entry::File(path) => Some(path),
            _ => None,
        }
    }

    fn open(&self, path: &RelativePath) -> io::Result<Box<dyn ByteSource + '_>> {
        let file = self.manifest.files().iter().find(|file| self.manifest.entry().seen(&file.path) == *path);
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(match &file.locator {
            Locator::InPlace(location) => open_here(location)?,
            _ => Box::new(Elsewhere { file, asks: &self.asks }),
        })
    }

    fn is_on_this_machine(&self) -> bool {
        self.manifest.is_in_place()
    }

    fn is_selection(&self) -> bool {
        self.manifest.is_selection()
    }
}

fn open_here(location: &Path) -> io::Result<Box<dyn ByteSource>> {
    Ok(Box::new(Seekable::new(fs_err::File::open(location)?)?))
}

/// Reads a remote file.
struct Elsewhere<'a> {
    file: &'a ManifestFile,
    asks: &'a mpsc::Sender<Ask>,
}

impl ByteSource for Elsewhere<'_> {
    fn size_bytes(&self) -> u64 {
        self.file.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let end = offset.saturating_add(buffer.len() as u64).min(self.file.size);
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the caller no longer waits for it");
        let ask = Ask { file: self.file.clone(), range: offset..end, answer };
        self.asks.blocking_send(ask).map_err(|_| gone())?;
        let bytes = answered.blocking_recv().map_err(|_| gone())??;
        buffer.get_mut(..bytes.len()).ok_or_else(gone)?.copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn first_read_bytes(&self) -> usize {
        FIRST_READ_BYTES
    }
}
