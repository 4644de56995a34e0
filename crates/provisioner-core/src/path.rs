//! Holds relative paths that are safe to join to a folder.

use std::{fmt, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

mod checked;

/// Names a place below a folder by a path that cannot leave that folder.
///
/// Its components have `/` between them. It is not empty, not absolute and not over-long; it has no `.` or `..`, no drive, no
/// backslash, no control character and no device name. Every name from a server, a listing or an index becomes one of these
/// before it comes near a disk. Clones share the text: a listing may have a hundred thousand paths, and each is in several
/// lists.
///
/// ```
/// use provisioner_core::RelativePath;
///
/// assert_eq!(RelativePath::new("sub/a.gguf")?.as_str(), "sub/a.gguf");
/// assert!(RelativePath::new("../a.gguf").is_err());
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(Arc<str>);

impl RelativePath {
    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns what stands before the last component: the folder with a slash behind it, or an empty text.
    ///
    /// ```
    /// use provisioner_core::RelativePath;
    ///
    /// let path = RelativePath::new("a/b/c.gguf")?;
    /// assert_eq!((path.folder(), path.file_name()), ("a/b/", "c.gguf"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn folder(&self) -> &str {
        self.0.strip_suffix(self.file_name()).unwrap_or_default()
    }
}

impl AsRef<Path> for RelativePath {
    fn as_ref(&self) -> &Path {
        Path::new(self.as_str())
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0.as_ref().to_owned()
    }
}
