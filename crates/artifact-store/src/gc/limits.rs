//! Says what a caller asks of an eviction.

use std::time::Duration;

use jiff::SignedDuration;
use provisioner_core::Timestamp;

/// How long an eviction leaves a model alone after its last use, unless the caller sets another time.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(600);

/// Says how many bytes the store may take, and what stays in any case.
///
/// ```
/// use artifact_store::EvictionLimits;
///
/// let limits = EvictionLimits { max_size_bytes: Some(100 << 30), ..EvictionLimits::default() };
/// assert_eq!(limits.grace.as_secs(), 600);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionLimits {
    /// The largest size of the store, in bytes; `None` for no limit. Without a limit only leftovers go.
    pub max_size_bytes: Option<u64>,
    /// How long an eviction leaves a model alone after a caller used or recorded it.
    pub grace: Duration,
}

impl Default for EvictionLimits {
    /// Returns no limit of size, and a grace of ten minutes.
    fn default() -> Self {
        Self { max_size_bytes: None, grace: DEFAULT_GRACE }
    }
}

/// Asks for an eviction: with limits, the time, and the room that the caller needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvictionRequest {
    /// The limits that the eviction keeps.
    pub limits: EvictionLimits,
    /// The present moment, by the caller's clock.
    pub now: Timestamp,
    /// How many bytes within the limit of size the caller needs for files that are about to come. Where an eviction cannot
    /// free them, no model goes for them.
    pub needed_bytes: u64,
}

/// Returns a duration as one that can be compared with the difference of two times.
pub(crate) fn signed(duration: Duration) -> SignedDuration {
    duration.try_into().unwrap_or(SignedDuration::MAX)
}

/// Returns a time, as `list` prints it.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Returns how long ago something happened, in the largest unit that fits.
pub(crate) fn ago(since: SignedDuration) -> String {
    let seconds = since.as_secs().max(0);
    let (count, measure) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{count} {measure}{} ago", if count == 1 { "" } else { "s" })
}
