//! Names the folder in which a fetcher's program downloads.

use std::path::{Path, PathBuf};

/// Names the folder of a caller in which a fetcher's program may make what it likes.
///
/// ```text
/// <scratch>/files/PATH   a downloaded file, by its path in the model
/// <scratch>/work/…       what the program and its fetcher need besides
/// ```
///
/// The names of the files come from a source, so a fetcher keeps nothing of its own among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Names a folder, which is there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Returns the folder that has both.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the folder that receives the files. The fetcher makes it.
    pub fn files(&self) -> PathBuf {
        self.0.join("files")
    }

    /// Returns the folder for all else. The fetcher makes it.
    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }
}
