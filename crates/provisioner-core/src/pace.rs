//! Judges how slowly the bytes of an answer may come.
//!
//! A source that drips keeps a caller waiting as a silent one does, so one rule judges both. Over each window of waiting, an
//! answer brings [`MIN_BYTES_PER_S`] on average, or the caller gives it up. The window is as long as the caller waits for a
//! silent connection.
//!
//! The rule binds the bytes of every answer: chunks of large files, whole streams, small files, reads of headers, pages of a
//! listing, and streams of Xet. Only the time that the caller waits for the source counts. A caller that writes to a slow
//! disk, or holds itself back to a rate of its own, does not make its source a slow one.

use std::time::Duration;

/// The least pace of an answer, in bytes for each second of waiting. At that pace, 80 GB over eight connections take 113
/// days.
pub const MIN_BYTES_PER_S: u64 = 1024;

/// Judges whether the bytes of one answer come fast enough.
///
/// ```
/// use provisioner_core::Pace;
/// use std::time::Duration;
///
/// let mut pace = Pace::new(Duration::from_secs(30));
/// pace.arrived(100, Duration::from_secs(29));
/// assert_eq!(pace.patience(), Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct Pace {
    window: Duration,
    /// How long the caller has waited in this window.
    waited: Duration,
    /// How many bytes arrived in this window.
    bytes: u64,
}

impl Pace {
    /// Begins to watch an answer, with windows of that length.
    pub fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Returns how long the caller may wait for the next bytes. An answer that brings none in that time is too slow.
    pub fn patience(&self) -> Duration {
        self.window.saturating_sub(self.waited)
    }

    /// Counts bytes that arrived after a wait. As soon as a window has its bytes, the next window begins.
    pub fn arrived(&mut self, bytes: u64, waited: Duration) {
        self.bytes += bytes;
        self.waited += waited;
        if self.bytes >= self.least_bytes() {
            *self = Self::new(self.window);
        }
    }

    /// Returns how many bytes arrived in this window. They are too few for a whole window.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many bytes a window must bring: at least one, however short it is.
    fn least_bytes(&self) -> u64 {
        let least = self.window.as_millis().saturating_mul(u128::from(MIN_BYTES_PER_S)) / 1000;
        u64::try_from(least).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns whether a caller keeps an answer of which so many bytes come each second.
    fn goes_on(bytes_per_s: u64) -> bool {
        let mut pace = Pace::new(30 * SECOND);
        (0..300).all(|_| {
            let in_time = pace.patience() >= SECOND;
            pace.arrived(bytes_per_s, SECOND);
            in_time
        })
    }

    #[test]
    fn a_window_brings_its_bytes_or_is_the_last() {
        for (bytes_per_s, expected) in [(0, false), (1, false), (1023, false), (1024, true), (1 << 20, true)]
        {
            assert_eq!(goes_on(bytes_per_s), expected, "{bytes_per_s}");
        }
    }

    #[test]
    fn a_window_that_has_its_bytes_gives_the_next_one_all_its_time() {
        let mut pace = Pace::new(30 * SECOND);
        pace.arrived(30 * MIN_BYTES_PER_S - 1, 29 * SECOND);
        assert_eq!((pace.patience(), pace.bytes()), (SECOND, 30 * MIN_BYTES_PER_S - 1));
        pace.arrived(1, SECOND);
        assert_eq!((pace.patience(), pace.bytes()), (30 * SECOND, 0));
    }

    #[test]
    fn no_bytes_are_never_enough() {
        let mut pace = Pace::new(Duration::from_micros(1));
        pace.arrived(0, SECOND);
        assert_eq!(pace.patience(), Duration::ZERO);
    }
}
