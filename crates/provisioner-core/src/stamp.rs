//! Which bytes a path held when it was looked at, without reading them.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// How old a file must be before its times can be trusted to change with its bytes: file systems keep them as
/// coarsely as this (FAT, two seconds).
const SETTLED_AFTER_NS: i128 = 2_000_000_000;

/// What `fstat` says of a file: as long as all of it is the same, so are the bytes. Writing, truncating or
/// replacing a file changes it, and so does setting the modification time back, for that moves `ctime_ns`.
///
/// It does not catch what changes bytes below the file system.
///
/// Two stamps are equal whatever the numbers of their devices are: the same file system has another number on another mount, on
/// another node and after a reboot.
#[derive(Clone, Copy, Debug, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Time of the last change of the inode, in nanoseconds since 1970. Absent for files of our store: linking one
    /// changes it, and leaves the bytes alone. It is there for those that our store shares with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctime_ns: Option<i64>,
    /// Number of the device, as it was when the stamp was taken. It is written for those who read it, and never compared.
    pub dev: u64,
    /// Number of the inode.
    pub inode: u64,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        let compared = |stamp: &Self| (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode);
        compared(self) == compared(other)
    }
}

impl Stamp {
    /// The stamp of a file whose metadata was read from an open descriptor.
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

    /// The stamp without the time that linking changes.
    #[must_use]
    pub fn without_ctime(self) -> Self {
        Self { ctime_ns: None, ..self }
    }

    /// Whether the file was left alone long enough before `now` that a later write must show in its stamp.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        now.as_nanosecond() - i128::from(self.mtime_ns) >= SETTLED_AFTER_NS
    }

    /// What differs in a later stamp of the same path, as a fragment; `None` where nothing does.
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
