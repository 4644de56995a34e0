//! Reads sizes and times as people write them.

use std::time::Duration;

pub(super) use model_provisioner::{parse_memory as memory, parse_size as size};

/// Returns a number of bytes, which may be zero.
pub(super) fn size_or_none(text: &str) -> Result<u64, String> {
    if text == "0" { Ok(0) } else { size(text) }
}

/// Returns a number, at least one.
pub(super) fn count(text: &str) -> Result<u64, String> {
    if text.is_empty() || text.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err("a number is written in digits alone, such as 4 or 8192".to_owned());
    }
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        number => number.map_err(|_| "it is more than can be counted".to_owned()),
    }
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
