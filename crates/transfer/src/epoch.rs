//! Numbers the attempts at a file.

/// Numbers an attempt. A write or a reading of an earlier attempt comes too late, and does nothing.
pub(crate) type Epoch = u64;
