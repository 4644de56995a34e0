//! Reads a few bytes of a file, for a caller that looks at it and does not fetch it.

use std::{ops::Range, time::Duration};

use provisioner_core::{ByteRange, ManifestFile, ModelFetcher, Opened, ProgressSink};
use tokio::time::{Instant, timeout};

use crate::{
    body::Body,
    context::Context,
    error::{Error, Result},
    retry_budget::RetryBudget,
};

/// How many bytes must come for each time that a connection may be silent, after four such times to begin with: a person
/// waits for a look, and a source that trickles would hold that person up for ever.
const BYTES_PER_STALL: u64 = 256 << 10;

/// Returns the bytes of a range. [`Transfer::read`](crate::Transfer::read) says more.
pub(crate) async fn read(
    context: &Context,
    fetcher: &dyn ModelFetcher,
    id: &str,
    file: &ManifestFile,
    range: Range<u64>,
    progress: &dyn ProgressSink,
) -> Result<Vec<u8>> {
    let stall = context.settings.stall;
    let stalls = 4 + range.end.saturating_sub(range.start) / BYTES_PER_STALL;
    let limit = stall.saturating_mul(u32::try_from(stalls).unwrap_or(u32::MAX));
    // The pauses that the source asks for do not count.
    let (mut bytes, mut left) = (Vec::new(), limit);
    let mut budget = RetryBudget::new(context, id, progress);
    loop {
        let (before, began) = (bytes.len(), Instant::now());
        let read = timeout(left, read_on(stall, fetcher, file, &range, &mut bytes)).await;
        let read = read.map_err(|_| Error::Stalled { path: file.path.to_string(), after: limit })?;
        let Err(error) = read else { return Ok(bytes) };
        if bytes.len() > before {
            budget.renew();
        }
        let asked = budget.wait_out(error).await?;
        left = left.saturating_sub(began.elapsed().saturating_sub(asked));
    }
}

/// Reads on after the bytes that are here, over one connection.
async fn read_on(
    stall: Duration,
    fetcher: &dyn ModelFetcher,
    file: &ManifestFile,
    range: &Range<u64>,
    bytes: &mut Vec<u8>,
) -> Result<()> {
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
        // A server that knows no ranges sends on, and this reader drops the rest.
        bytes.extend_from_slice(piece.get(..taken).unwrap_or_default());
    }
    Ok(())
}

/// Returns an error unless an answer begins where the request did, in a file of the listed size.
fn check(opened: &Opened, file: &ManifestFile, at: u64) -> Result<()> {
    if let Some(total) = opened.total_size.filter(|total| *total != file.size) {
        return Err(answer(file, format!("it has {total} bytes, and its listing says {}", file.size), false));
    }
    if opened.range.start == at {
        return Ok(());
    }
    let what = format!(
        "the request was for the bytes from {at} on, and the answer has those from {} on",
        opened.range.start
    );
    Err(answer(file, what, false))
}

fn answer(file: &ManifestFile, what: String, may_pass: bool) -> Error {
    Error::Answer { path: file.path.to_string(), what, may_pass }
}
