//! Names what the records of a zip begin with, and reads their numbers.

pub(super) const LOCAL: &[u8] = b"PK\x03\x04";
pub(super) const ENTRY: &[u8] = b"PK\x01\x02";
pub(super) const END: &[u8] = b"PK\x05\x06";
pub(super) const END64: &[u8] = b"PK\x06\x06";
pub(super) const LOCATOR64: &[u8] = b"PK\x06\x07";
/// The length of a member's own header without its name, in bytes.
pub(super) const LOCAL_BYTES: usize = 30;

/// Reads a little-endian number of up to eight bytes.
pub(super) fn number(record: &[u8], at: usize, bytes: usize) -> u64 {
    let bytes = record.get(at..at + bytes).unwrap_or_default();
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}
