//! Looking into a model, wherever it is, without fetching it.
//!
//! # Model
//! Headers are read by `model-inspect`, which is synchronous, on a thread that may block. What it asks of a file that is
//! elsewhere goes over a channel to the task that called, and that one asks the source for a range. So the runtime is
//! never blocked, and where the call is dropped, the next question finds nobody and ends the work.

use std::{io, ops::Range, path::PathBuf, sync::Arc};

use model_inspect::{ByteSource, Inspection, ListedFile, ModelSource, Seekable, inspect_model};
use provisioner_core::{
    Entry, Locator, Manifest, ManifestFile, ModelRef, Outcome, RecordedFile, RelativePath,
};
use tokio::sync::{mpsc, oneshot};

use crate::{ModelProvisioner, Result, lifecycle::recorded_manifest, provisioner::blocking};

/// How many bytes of a file elsewhere are asked for at first. Most headers are longer, and a request costs more than this.
const FIRST_READ_BYTES: usize = 256 << 10;

impl ModelProvisioner {
    /// What a model says of itself, and what memory it needs. A model that is here is read where it lies, be it recorded or
    /// not; of another one, only headers are fetched, and nothing is kept.
    ///
    /// Nothing is compared with a digest, and nothing is recorded: that is what [`ensure`](Self::ensure) is for.
    ///
    /// # Errors
    /// What is wrong with the reference, its source or the policy; and [`Error::Inspect`](crate::Error::Inspect) for a
    /// model whose structure is unsound.
    pub async fn inspect(&self, reference: &ModelRef) -> Result<Inspection> {
        let reference = self.canonical(reference).await?;
        self.parts.ask(&provisioner_core::Question::Reference(&reference))?;
        let manifest = match self.recorded(&reference).await? {
            Some(manifest) => manifest,
            None => self.resolve(&reference, None).await?,
        };
        self.read_headers(manifest).await
    }

    /// Reads the headers of a manifest's files.
    pub(crate) async fn read_headers(&self, manifest: Manifest) -> Result<Inspection> {
        let reference = manifest.reference().clone();
        let (id, progress) = (reference.id(), self.parts.progress.as_ref());
        let (asks, mut asked) = mpsc::channel(1);
        let source = Listed::new(manifest, asks);
        let work = tokio::task::spawn_blocking(move || inspect_model(&source));
        let mut failure = None;
        // It ends with the work, which has the other end.
        while let Some(Ask { file, range, answer }) = asked.recv().await {
            let fetcher = self.parts.registry.find(&reference)?;
            let read =
                self.parts.transfer.read(fetcher, &id, &file, range, progress).await.map_err(|error| {
                    let told = io::Error::other(error.to_string());
                    failure.get_or_insert(error);
                    told
                });
            // Whoever asked is gone if the work was cut off, and that is told below.
            let _ = answer.send(read);
        }
        match (work.await?, failure) {
            (Err(_), Some(failure)) => Err(failure.into()),
            (found, _) => Ok(found?),
        }
    }

    /// The files of a fetched model that is here, each of its size: nothing more is promised of what is read. Local ones are
    /// listed anew, for they need no record.
    async fn recorded(&self, reference: &ModelRef) -> Result<Option<Manifest>> {
        let found = match reference {
            ModelRef::Local(_) => None,
            _ => self.parts.catalog.get(&reference.id()).await?,
        };
        let Some(found) = found.filter(|found| found.record.verification.outcome != Outcome::Fail) else {
            return Ok(None);
        };
        let (parts, reference) = (Arc::clone(&self.parts), reference.clone());
        blocking(move || {
            let record = found.record;
            let has_its_size = |file: &RecordedFile| {
                let found = fs_err::metadata(record.location(&file.path));
                found.is_ok_and(|found| found.is_file() && found.len() == file.stamp.size)
            };
            let is_here = record.files.iter().all(has_its_size) && parts.is_whole(&record);
            if is_here { recorded_manifest(&reference, &record).map(Some) } else { Ok(None) }
        })
        .await
    }
}

/// A question for bytes of a file that is elsewhere.
struct Ask {
    file: ManifestFile,
    range: Range<u64>,
    answer: oneshot::Sender<io::Result<Vec<u8>>>,
}

/// The files of a manifest, as those read them who know neither sources nor runtimes.
struct Listed {
    manifest: Manifest,
    files: Vec<ListedFile>,
    asks: mpsc::Sender<Ask>,
}

impl Listed {
    fn new(manifest: Manifest, asks: mpsc::Sender<Ask>) -> Self {
        let files = manifest.files().iter();
        let files =
            files.map(|file| ListedFile { path: file.path.clone(), size_bytes: file.size, format: None });
        Self { files: files.collect(), manifest, asks }
    }
}

impl ModelSource for Listed {
    fn files(&self) -> &[ListedFile] {
        &self.files
    }

    fn entry(&self) -> Option<&RelativePath> {
        match self.manifest.entry() {
            Entry::File(path) => Some(path),
            Entry::Folder => None,
        }
    }

    fn open(&self, path: &RelativePath) -> io::Result<Box<dyn ByteSource + '_>> {
        let file = self.manifest.files().iter().find(|file| file.path == *path);
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(match &file.locator {
            Locator::InPlace(location) => open_here(location)?,
            _ => Box::new(Elsewhere { file, asks: &self.asks }),
        })
    }

    fn is_selection(&self) -> bool {
        self.manifest.is_selection()
    }
}

fn open_here(location: &PathBuf) -> io::Result<Box<dyn ByteSource>> {
    Ok(Box::new(Seekable::new(fs_err::File::open(location)?)?))
}

/// A file that is elsewhere.
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
        let gone = || io::Error::other("nobody waits for it any more");
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
