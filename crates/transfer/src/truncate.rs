//! Shortens files.

use std::{fs::File, io};

/// Truncates a file to a length at the most, and returns its length. It leaves a shorter file alone: a file system may take
/// truncation for the beginning of a replacement, and write the file to the disk as soon as it is closed (ext4 does).
pub(crate) fn truncate(file: &File, limit: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length > limit {
        file.set_len(limit)?;
    }
    Ok(length.min(limit))
}
