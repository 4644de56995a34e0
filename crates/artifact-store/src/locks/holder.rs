//! Who has a lease.

use durable_fs::ProcessIdentity;
use provisioner_core::Timestamp;

/// A process that has a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The process.
    pub process: ProcessIdentity,
    /// When it took the lease.
    pub since: Option<Timestamp>,
}
