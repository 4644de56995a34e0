//! Time, passed in.

use std::fmt;

/// A moment in UTC; as text, RFC 3339.
pub type Timestamp = jiff::Timestamp;

/// Tells the time. Passed in everywhere, so that tests can say what time it is.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}
