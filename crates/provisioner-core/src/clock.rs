//! Tells the time, from a clock that the caller passes in.

use std::fmt;

/// Is a moment in UTC. Its text is RFC 3339.
pub type Timestamp = jiff::Timestamp;

/// Tells the time. A caller passes a clock in, so that a test can say what time it is.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}
