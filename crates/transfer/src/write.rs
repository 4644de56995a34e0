//! Holds bytes on their way into a file.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{epoch::Epoch, error::Result};

/// Holds pieces that follow each other, and whom to tell that the file has them.
#[derive(Debug)]
pub(crate) struct Write {
    /// The attempt that they are of.
    pub(crate) epoch: Epoch,
    /// Where they begin.
    pub(crate) start: u64,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) written: oneshot::Sender<Result<()>>,
}

impl Write {
    /// Returns a write, and what tells that it is done. Where that fails, no thread is left to do the write.
    pub(crate) fn new(epoch: Epoch, start: u64, pieces: Vec<Bytes>) -> (Self, oneshot::Receiver<Result<()>>) {
        let (written, done) = oneshot::channel();
        (Self { epoch, start, pieces, written }, done)
    }
}

/// Returns how many bytes pieces have.
pub(crate) fn length(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}
