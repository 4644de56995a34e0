//! The real time.

use provisioner_core::{Clock, Timestamp};

#[derive(Debug)]
pub(crate) struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "a clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
