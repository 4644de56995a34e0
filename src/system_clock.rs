//! Tells the time of this machine.

use provisioner_core::{Clock, Timestamp};

/// Tells the system's time, in milliseconds: a person can read them, and every JSON reader can hold them. The builder takes
/// this clock, unless the caller passes another one in.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all other code asks")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
