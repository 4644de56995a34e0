//! Names a file or folder on this machine.

use std::path::{Path, PathBuf};

use super::shard::at_first_shard;
use crate::error::{Error, Result};

/// Names a file or folder on this machine by an absolute path in UTF-8.
///
/// The path has no `.` components and no doubled slashes. Where it names any shard, it is that of the first shard. It keeps
/// `..`, for only a disk knows whether a symlink lies before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalRef {
    path: String,
}

impl LocalRef {
    /// Makes the reference to a path. A relative path starts from `base`.
    ///
    /// # Errors
    /// [`Error::PathNotUtf8`]; [`Error::InvalidReference`] for an empty path, a control character, or a relative
    /// path without a base.
    pub fn new(path: &Path, base: Option<&Path>) -> Result<Self> {
        let invalid = |reason: &str| Error::InvalidReference {
            text: path.display().to_string(),
            reason: reason.to_owned(),
            hint: None,
        };
        if path.as_os_str().is_empty() {
            return Err(invalid("the path is empty"));
        }
        let joined = match base {
            Some(base) => base.join(path),
            None => path.to_owned(),
        };
        if !joined.is_absolute() {
            return Err(invalid("a relative path needs a folder to start from"));
        }
        let tidy: PathBuf = joined.components().collect();
        let Some(text) = tidy.to_str() else {
            return Err(Error::PathNotUtf8 { path: joined.display().to_string() });
        };
        if text.chars().any(char::is_control) {
            return Err(invalid("the path has a control character"));
        }
        // The parent of the root is the root.
        let mut text = text;
        while let Some(rest) =
            text.strip_prefix("/..").filter(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            text = if rest.is_empty() { "/" } else { rest };
        }
        Ok(Self { path: at_first_shard(text) })
    }

    /// Returns the absolute path.
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// Returns the absolute path as text.
    pub fn as_str(&self) -> &str {
        &self.path
    }
}
