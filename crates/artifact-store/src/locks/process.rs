//! Reads and writes the process that a lock file or a note names.

use std::path::Path;

use durable_fs::ProcessIdentity;

/// The largest text of a lock file that this process reads, in bytes.
const MAX_BYTES: u64 = 4096;

/// Returns the process that a file names. Returns `None` where it names none.
pub(crate) fn read_process(path: &Path) -> Option<ProcessIdentity> {
    serde_json::from_slice(&durable_fs::read(path, MAX_BYTES).ok()??).ok()
}

/// Returns this process, as a file names it.
pub(crate) fn this_process() -> Vec<u8> {
    to_json(&ProcessIdentity::this())
}

/// Returns a process, as a file names it.
pub(crate) fn to_json(process: &ProcessIdentity) -> Vec<u8> {
    serde_json::to_vec(process).unwrap_or_default()
}
