//! Says what `stat` told of a file, so that a later call sees a change without reading the bytes.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The age in nanoseconds at which a file's times can be trusted to change with its bytes. File systems keep times as
/// coarsely as this (FAT: two seconds).
const SETTLED_AFTER_NS: i128 = 2_000_000_000;

/// Holds what `fstat` says of a file. While all of it is the same, so are the bytes.
///
/// A program that writes, truncates or replaces the file changes the stamp. A program that sets the modification time back
/// moves `ctime_ns`. The stamp does not show a change below the file system, such as a failing disk.
///
/// Two stamps are equal whatever their device numbers are. The same file system has another number on another mount, on
/// another node and after a reboot.
#[derive(Clone, Copy, Debug, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stamp {
    /// The size of the file, in bytes.
    pub size: u64,
    /// The modification time, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The time of the last change of the inode, in nanoseconds since 1970. It is absent for a file that the store alone
    /// links: a link changes it, and leaves the bytes alone. It is there for a file that another tool links too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctime_ns: Option<i64>,
    /// The number of the device when the stamp was taken. It is there for a person to read, and no program compares it.
    pub dev: u64,
    /// The number of the inode.
    pub inode: u64,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        let compared = |stamp: &Self| (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode);
        compared(self) == compared(other)
    }
}

impl Stamp {
    /// Returns the stamp of a file, from the metadata of an open descriptor.
    pub fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, nanoseconds: i64| {
            seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
        };
        Self {
            size: metadata.len(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: Some(ns(metadata.ctime(), metadata.ctime_nsec())),
            dev: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Returns the stamp without the time that a link changes.
    #[must_use]
    pub fn without_ctime(self) -> Self {
        Self { ctime_ns: None, ..self }
    }

    /// Returns whether every later write must show in the stamp, because the file was left alone for long enough before
    /// `now`.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        now.as_nanosecond() - i128::from(self.mtime_ns) >= SETTLED_AFTER_NS
    }

    /// Returns what differs in a later stamp of the same path, as a fragment. `None` where the two are equal.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.size != other.size {
            Some("its size changed")
        } else if self.inode != other.inode {
            Some("another file took its place")
        } else if self.mtime_ns != other.mtime_ns {
            Some("it was modified")
        } else if self.ctime_ns.is_some() && self.ctime_ns != other.ctime_ns {
            Some("its inode changed")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { size: 1, mtime_ns: 2, ctime_ns: Some(3), dev: 4, inode: 5 };

    fn check(other: Stamp, difference: Option<&'static str>) {
        assert_eq!(STAMP.difference(&other), difference, "{other:?}");
        assert_eq!(STAMP == other, difference.is_none(), "{other:?}");
    }

    #[test]
    fn a_device_number_is_not_compared_and_all_else_is() {
        check(Stamp { dev: 9, ..STAMP }, None);
        check(Stamp { size: 9, ..STAMP }, Some("its size changed"));
        check(Stamp { inode: 9, ..STAMP }, Some("another file took its place"));
        check(Stamp { mtime_ns: 9, ..STAMP }, Some("it was modified"));
        check(Stamp { ctime_ns: Some(9), ..STAMP }, Some("its inode changed"));
        assert_eq!(STAMP.without_ctime().difference(&STAMP), None, "what is not recorded is not compared");
    }
}
