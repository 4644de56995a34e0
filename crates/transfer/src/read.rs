//! A few bytes of a file, for somebody who looks at it and does not want it.

use std::ops::Range;

use provisioner_core::{ByteRange, ManifestFile, ModelFetcher, Opened, ProgressSink};
use tokio::time::{Instant, timeout};

use crate::{Error, Result, Transfer, body::Body, retry::RetryBudget};

/// How many bytes must have come for each time that a connection may be silent, with four such times to begin with: somebody
/// is waiting for a look, and a source that trickles would keep him for ever.
const BYTES_PER_STALL: u64 = 256 << 10;

impl Transfer {
    /// The bytes of a range of a file of the model `id`, in memory; asked for again where a failure may pass. They are compared
    /// with no digest, so they are good for a look, and not for use. Progress tells of the pauses that the source asks for.
    ///
    /// # Errors
    /// [`Error::Source`]; [`Error::Stalled`], also for a source that is too slow for a look; and [`Error::Answer`] from one
    /// that does not keep to ranges.
    pub async fn read(
        &self,
        fetcher: &dyn ModelFetcher,
        id: &str,
        file: &ManifestFile,
        range: Range<u64>,
        progress: &dyn ProgressSink,
    ) -> Result<Vec<u8>> {
        let stalls = 4 + range.end.saturating_sub(range.start) / BYTES_PER_STALL;
        let limit = self.settings().stall.saturating_mul(u32::try_from(stalls).unwrap_or(u32::MAX));
        // What the source asks to be left alone for does not count.
        let (mut bytes, mut left) = (Vec::new(), limit);
        let mut patience = RetryBudget::new(self, id, progress);
        loop {
            let (before, began) = (bytes.len(), Instant::now());
            let read = timeout(left, self.read_on(fetcher, file, &range, &mut bytes)).await;
            let read = read.map_err(|_| Error::Stalled { path: file.path.to_string(), after: limit })?;
            let Err(error) = read else { return Ok(bytes) };
            if bytes.len() > before {
                patience.renew();
            }
            let asked = patience.outlast(error).await?;
            left = left.saturating_sub(began.elapsed().saturating_sub(asked));
        }
    }

    /// Goes on after the bytes that are here, over one connection.
    async fn read_on(
        &self,
        fetcher: &dyn ModelFetcher,
        file: &ManifestFile,
        range: &Range<u64>,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let stall = self.settings().stall;
        let stalled = |_| Error::Stalled { path: file.path.to_string(), after: stall };
        let at = range.start + bytes.len() as u64;
        let asked = ByteRange { start: at, end: Some(range.end) };
        let opened = timeout(stall, fetcher.open(file, asked)).await.map_err(stalled)?;
        let opened = opened.map_err(Error::Source)?;
        check(&opened, file, at)?;
        let mut body = Body::new(file, opened.stream, stall);
        while range.start + (bytes.len() as u64) < range.end {
            let Some(piece) = body.next().await? else {
                return Err(answer(file, "the bytes end early".to_owned(), true));
            };
            let left = range.end - range.start - bytes.len() as u64;
            let taken = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            // A server that knows no ranges sends on, and is not listened to.
            bytes.extend_from_slice(piece.get(..taken).unwrap_or_default());
        }
        Ok(())
    }
}

/// Whether an answer begins where it was asked to, in a file of the size that was listed.
fn check(opened: &Opened, file: &ManifestFile, at: u64) -> Result<()> {
    if let Some(total) = opened.total_size.filter(|total| *total != file.size) {
        return Err(answer(file, format!("it has {total} bytes, and was listed with {}", file.size), false));
    }
    if opened.range.start == at {
        return Ok(());
    }
    let what = format!("bytes from {at} on were asked for, and those from {} on came", opened.range.start);
    Err(answer(file, what, false))
}

fn answer(file: &ManifestFile, what: String, may_pass: bool) -> Error {
    Error::Answer { path: file.path.to_string(), what, may_pass }
}
