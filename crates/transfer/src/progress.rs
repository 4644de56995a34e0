//! Tells progress of one file.

use std::sync::atomic::{AtomicU64, Ordering};

use provisioner_core::{ManifestFile, ProgressEvent, ProgressSink};

/// Tells progress of one file. The count never goes back.
pub(crate) struct FileProgress<'a> {
    pub(crate) id: &'a str,
    pub(crate) sink: &'a dyn ProgressSink,
    file: &'a ManifestFile,
    best: AtomicU64,
}

impl<'a> FileProgress<'a> {
    /// Tells that a file begins, of which so many bytes are here already.
    pub(crate) fn start(
        sink: &'a dyn ProgressSink,
        id: &'a str,
        file: &'a ManifestFile,
        present_bytes: u64,
    ) -> Self {
        let (path, size_bytes) = (file.path.to_string(), file.size);
        sink.on_event(&ProgressEvent::FetchStarted { id: id.to_owned(), path: path.clone(), size_bytes });
        if present_bytes > 0 {
            sink.on_event(&ProgressEvent::FetchResumed {
                id: id.to_owned(),
                path,
                present_bytes,
                size_bytes,
            });
        }
        Self { id, file, best: AtomicU64::new(0), sink }
    }

    /// Tells how many bytes are here, unless more were here before.
    pub(crate) fn show(&self, done_bytes: u64) {
        if self.best.fetch_max(done_bytes, Ordering::Relaxed) < done_bytes {
            let (id, path, size_bytes) = (self.id.to_owned(), self.file.path.to_string(), self.file.size);
            self.sink.on_event(&ProgressEvent::Fetched { id, path, done_bytes, size_bytes });
        }
    }
}

impl Drop for FileProgress<'_> {
    fn drop(&mut self) {
        let (id, path) = (self.id.to_owned(), self.file.path.to_string());
        self.sink.on_event(&ProgressEvent::FetchEnded { id, path });
    }
}
