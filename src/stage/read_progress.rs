//! Counts how much of a model a step has read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use provisioner_core::{ProgressEvent, ProgressSink};

/// How many bytes the reader hashes between two events of progress.
const EVENT_BYTES: u64 = 8 << 20;

/// Counts the hashed bytes of a model, and tells the progress sink of the beginning and of the end, also where an error
/// ends it.
pub(crate) struct ReadProgress {
    id: String,
    total_bytes: u64,
    done: AtomicU64,
    sink: Arc<dyn ProgressSink>,
}

impl ReadProgress {
    /// Tells the progress sink that the step begins to read files of these sizes, in bytes.
    pub(crate) fn start(sink: &Arc<dyn ProgressSink>, id: &str, sizes: &[u64]) -> Self {
        let (id, total_bytes) = (id.to_owned(), sizes.iter().copied().fold(0, u64::saturating_add));
        sink.on_event(&ProgressEvent::HashStarted { id: id.clone(), files: sizes.len(), total_bytes });
        Self { id, total_bytes, done: AtomicU64::new(0), sink: Arc::clone(sink) }
    }

    /// Adds bytes that the step has read.
    pub(crate) fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        if before / EVENT_BYTES != (before + bytes) / EVENT_BYTES {
            // A file that turned out to have other bytes counts too.
            let done_bytes = (before + bytes).min(self.total_bytes);
            let (id, total_bytes) = (self.id.clone(), self.total_bytes);
            self.sink.on_event(&ProgressEvent::Hashed { id, done_bytes, total_bytes });
        }
    }
}

impl Drop for ReadProgress {
    fn drop(&mut self) {
        self.sink.on_event(&ProgressEvent::HashEnded { id: self.id.clone() });
    }
}
