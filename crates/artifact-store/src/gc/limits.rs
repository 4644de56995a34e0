//! What an eviction is asked for.

use std::time::Duration;

use jiff::SignedDuration;
use provisioner_core::Timestamp;

/// How long a model is left alone after its last use, unless the caller says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(600);

/// Says how much the store may take, and what stays in any case.
///
/// ```
/// use artifact_store::EvictionLimits;
///
/// let limits = EvictionLimits { max_size_bytes: Some(100 << 30), ..EvictionLimits::default() };
/// assert_eq!(limits.grace.as_secs(), 600);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionLimits {
    /// The most that the store may take, in bytes; `None` for no limit. Without a limit only leftovers go.
    pub max_size_bytes: Option<u64>,
    /// How long a model is left alone after it was last used or recorded.
    pub grace: Duration,
}

impl Default for EvictionLimits {
    /// No limit, and ten minutes.
    fn default() -> Self {
        Self { max_size_bytes: None, grace: DEFAULT_GRACE }
    }
}

/// Asks for an eviction: the limits, the time, and the room that is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvictionRequest {
    /// The limits.
    pub limits: EvictionLimits,
    /// The time now.
    pub now: Timestamp,
    /// How many bytes within the limit of size are to be free, for files that are about to come. Where they cannot be, no
    /// model is evicted for them.
    pub needed_bytes: u64,
}

/// Returns a duration that can be compared with a difference of two times.
pub(crate) fn signed(duration: Duration) -> SignedDuration {
    duration.try_into().unwrap_or(SignedDuration::MAX)
}

/// Returns a time, as `list` prints it.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Returns how long ago something was, in the largest measure that fits.
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
