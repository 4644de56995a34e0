//! Names ranges of bytes in requests, and reads them from answers.

use std::ops::Range;

use http::header::HeaderValue;
use provisioner_core::{ByteRange, FetchError, FetchErrorKind, ManifestFile, Opened};

/// Returns a range with the end that it has in a file.
///
/// # Errors
/// [`FetchErrorKind::Invalid`] for a range that begins behind the file's end.
pub fn bounds_of(file: &ManifestFile, range: ByteRange) -> Result<Range<u64>, FetchError> {
    let end = range.end.unwrap_or(file.size).min(file.size);
    if range.start > end {
        let message = format!("`{}` has no bytes from {} to {end}", file.path, range.start);
        return Err(FetchError::new(FetchErrorKind::Invalid, message));
    }
    Ok(range.start..end)
}

/// Returns the answer to a range without bytes, for which HTTP has no request.
pub fn no_bytes(file: &ManifestFile, at: u64) -> Opened {
    let range = ByteRange { start: at, end: Some(at) };
    let stream = Box::pin(futures_util::stream::empty());
    Opened { range, total_size: Some(file.size), validator: None, stream }
}

/// Returns the `Range` header of a request; `None` for a whole file.
pub(crate) fn header_of(range: ByteRange) -> Option<HeaderValue> {
    let text = match (range.start, range.end) {
        (0, None) => return None,
        (start, None) => format!("bytes={start}-"),
        (start, Some(end)) => format!("bytes={start}-{}", end.saturating_sub(1)),
    };
    HeaderValue::try_from(text).ok()
}

/// Reads the `Content-Range` of an answer, `bytes <first>-<last>/<size>` (RFC 9110, section 14.4): the range, and the size of
/// the file.
pub(crate) fn content_range(text: &str) -> Option<(ByteRange, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (start, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let end = last.checked_add(1).filter(|end| *end > start)?;
    Some((ByteRange { start, end: Some(end) }, total.parse().ok()))
}
