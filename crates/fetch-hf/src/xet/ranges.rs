//! Says where a range of a file ends: about where one connection is in two seconds, and where a xorb ends, if that is known.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long the first ranges of a file are, in bytes.
pub(super) const FIRST_RANGE: u64 = 64 << 20;

/// How long ranges are at the least, and at the most.
pub(super) const SHORTEST_RANGE: u64 = 16 << 20;
pub(super) const LONGEST_RANGE: u64 = 128 << 20;

/// How many seconds a range is to take.
const SECONDS_A_RANGE: f64 = 2.0;

/// How many bytes behind a range the storage is to have been asked about: other connections may begin as many before the answer comes.
/// It is asked about so many at once.
const AHEAD: u64 = 256 << 20;

/// Says how long the next range is to be, in bytes.
#[derive(Debug)]
pub(super) struct RangeLength(AtomicU64);

/// Says where in a file xorbs begin, in bytes, as far ahead as the next ranges may reach.
#[derive(Debug, Default)]
pub(super) struct Boundaries(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    boundaries: BTreeSet<u64>,
    /// Up to where the storage was asked for them.
    asked: u64,
}

impl RangeLength {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(FIRST_RANGE))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from a range how much one connection brings.
    pub(super) fn learn(&self, bytes: u64, waited: Duration) {
        if bytes < SHORTEST_RANGE {
            return;
        }
        let seconds = waited.as_secs_f64() / SECONDS_A_RANGE;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is an estimate"
        )]
        let length = (bytes as f64 / seconds) as u64;
        self.0.store(length.clamp(SHORTEST_RANGE, LONGEST_RANGE), Ordering::Relaxed);
    }
}

impl Boundaries {
    /// Returns about which bytes the storage is to be asked now that it is asked for a range of a file of so many bytes. `None` where
    /// it was asked about enough, and for a range so short that the caller takes a look at the file.
    pub(super) fn to_ask(&self, range: &Range<u64>, size: u64) -> Option<Range<u64>> {
        let mut known = self.known();
        let start = known.asked.max(range.end);
        let is_enough = known.asked >= range.end.saturating_add(AHEAD);
        if is_enough || start >= size || range.end - range.start < SHORTEST_RANGE {
            return None;
        }
        known.asked = start.saturating_add(AHEAD).min(size);
        Some(start..known.asked)
    }

    /// Notes where xorbs begin.
    pub(super) fn learn(&self, boundaries: impl IntoIterator<Item = u64>) {
        self.known().boundaries.extend(boundaries);
    }

    /// Returns how long a range from here is, of about so many bytes: it ends where the last xorb begins that does so soon enough. A
    /// little more counts too, so that a xorb that begins soon does not cut each range off its xorbs. Ranges begin in ascending
    /// order, so what is known of earlier bytes goes.
    pub(super) fn range_bytes(&self, start: u64, bytes: u64) -> u64 {
        let mut known = self.known();
        known.boundaries = known.boundaries.split_off(&start);
        let lengths = SHORTEST_RANGE..=bytes.saturating_add(SHORTEST_RANGE);
        let mut ahead = known.boundaries.iter().map(|boundary| boundary - start);
        ahead.rfind(|length| lengths.contains(length)).unwrap_or(bytes)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_range_ends_where_a_xorb_begins() {
        let boundaries = Boundaries::default();
        let check = |start: u64, most: u64, expected: u64| {
            assert_eq!(boundaries.range_bytes(start * MIB, most * MIB), expected * MIB, "{start} {most}");
        };
        check(0, 64, 64);
        boundaries.learn([60, 121, 180].map(|at| at * MIB));
        check(60, 64, 61);
        check(60, 128, 120);
        // A xorb is longer than such a range, and its first part than a short one.
        check(60, 32, 32);
        check(110, 32, 32);
        check(121, 128, 59);
        check(180, 128, 128);
        boundaries.learn([240 * MIB]);
        check(180, 64, 60);
        // The next xorb begins soon, and the one after it a little too late.
        boundaries.learn([310, 374].map(|at| at * MIB));
        check(300, 64, 74);
        check(300, 32, 32);
    }

    #[test]
    fn the_storage_is_asked_about_the_bytes_of_the_next_ranges() {
        let boundaries = Boundaries::default();
        let check = |range: Range<u64>, expected: Option<Range<u64>>| {
            let asked = boundaries.to_ask(&(range.start * MIB..range.end * MIB), 1000 * MIB);
            assert_eq!(asked, expected.map(|range| range.start * MIB..range.end * MIB), "{range:?}");
        };
        check(0..8, None);
        check(0..64, Some(64..320));
        check(64..192, Some(320..576));
        check(192..320, None);
        check(320..448, Some(576..832));
        check(448..576, None);
        check(576..704, Some(832..1000));
        check(704..832, None);
        check(872..1000, None);
    }

    #[test]
    fn a_file_of_one_range_needs_no_boundary() {
        assert_eq!(Boundaries::default().to_ask(&(0..64 * MIB), 64 * MIB), None);
    }
}
