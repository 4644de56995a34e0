//! Names the process that has a lease.

use durable_fs::ProcessIdentity;
use provisioner_core::Timestamp;

/// Names a process that has a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The process, as its note names it.
    pub process: ProcessIdentity,
    /// When the process took the lease. `None` where its note does not say it.
    pub since: Option<Timestamp>,
}
