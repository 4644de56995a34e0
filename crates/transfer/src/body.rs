//! Reads the body of an answer, for as long as its bytes come fast enough.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use provisioner_core::{ByteStream, ManifestFile, Pace};
use tokio::time::{Instant, timeout};

use crate::error::{Error, Result};

/// Reads the body of an answer.
pub(crate) struct Body<'a> {
    file: &'a ManifestFile,
    stream: ByteStream,
    stall: Duration,
    pace: Pace,
}

impl<'a> Body<'a> {
    /// Returns a reader of a file's bytes, with windows of `stall` for [`Pace`].
    pub(crate) fn new(file: &'a ManifestFile, stream: ByteStream, stall: Duration) -> Self {
        Self { file, stream, stall, pace: Pace::new(stall) }
    }

    /// Returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Source`], and [`Error::Stalled`] or [`Error::TooSlow`] where too few bytes come.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let begin = Instant::now();
        let Ok(piece) = timeout(self.pace.patience(), self.stream.next()).await else {
            let (path, after) = (self.file.path.to_string(), self.stall);
            return Err(match self.pace.bytes() {
                0 => Error::Stalled { path, after },
                bytes => Error::TooSlow { path, bytes, after },
            });
        };
        let piece = piece.transpose().map_err(Error::Source)?;
        if let Some(piece) = &piece {
            self.pace.arrived(piece.len() as u64, begin.elapsed());
        }
        Ok(piece)
    }
}
