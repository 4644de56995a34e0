//! Reads sizes and times as people write them.

use std::time::Duration;

/// Returns a number of bytes, at least one: plain, or with K, M, G or T, and `i` for the powers of two.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].trim_end_matches(['b', 'B']).to_ascii_uppercase();
    let scale = match unit.as_str() {
        "" => 1,
        "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "KI" => 1 << 10,
        "MI" => 1 << 20,
        "GI" => 1 << 30,
        "TI" => 1 << 40,
        _ => return Err("a size is written 500K, 50M or 2GiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a size is written 500K, 50M or 2GiB".to_owned())?;
    match number.checked_mul(scale) {
        Some(0) => Err("it must be more than nothing".to_owned()),
        size => size.ok_or_else(|| "it is more than can be counted".to_owned()),
    }
}

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
