//! Reads sizes and times as people write them.

use std::time::Duration;

pub(super) use model_provisioner::parse_size as size;

/// Returns a number of bytes, which may be zero.
pub(super) fn size_or_none(text: &str) -> Result<u64, String> {
    if text == "0" { Ok(0) } else { size(text) }
}

/// Returns a time: a plain number of seconds, or a number with a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "a time is written 500ms, 30s or 2m".to_owned())?;
    parsed.try_into().map_err(|_| "a time cannot be negative".to_owned())
}
