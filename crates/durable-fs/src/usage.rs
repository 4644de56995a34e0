//! Measures what a program has written into a folder.

use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path, time::SystemTime};

/// How many files and folders one look counts at the most: a program may write without end.
const MAX_ENTRIES: usize = 200_000;

/// Holds what one look at a folder found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many bytes of the disk the files take.
    pub bytes: u64,
    /// When a program last wrote to a file or a folder. `None` where there is no folder.
    pub last_write: Option<SystemTime>,
}

/// Measures a folder and all below it. It follows no symlink, and skips what it cannot read.
pub fn usage_below(folder: &Path) -> Usage {
    let (mut usage, mut waiting, mut seen) = (Usage::default(), vec![folder.to_owned()], 0);
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = fs_err::symlink_metadata(&path) else { continue };
        usage.add(&metadata);
        if !metadata.is_dir() {
            continue;
        }
        let Ok(entries) = fs_err::read_dir(&path) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > MAX_ENTRIES {
                return usage;
            }
            waiting.push(entry.path());
        }
    }
    usage
}

impl Usage {
    fn add(&mut self, metadata: &Metadata) {
        if metadata.is_file() {
            self.bytes = self.bytes.saturating_add(metadata.blocks().saturating_mul(512));
        }
        self.last_write = self.last_write.max(metadata.modified().ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_counts_files_of_every_depth_and_follows_no_symlink() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("scratch");
        assert_eq!(usage_below(&folder), Usage::default());
        fs_err::create_dir_all(folder.join("a/.hidden")).unwrap();
        fs_err::write(folder.join("a/.hidden/x"), vec![1; 8192]).unwrap();
        fs_err::write(dir.path().join("elsewhere"), vec![1; 1 << 20]).unwrap();
        let one = usage_below(&folder).bytes;
        assert!((8192..1 << 20).contains(&one), "{one}");
        std::os::unix::fs::symlink(dir.path(), folder.join("out")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), folder.join("link")).unwrap();
        assert_eq!(usage_below(&folder).bytes, one);
    }
}
