//! Names the folders in which the command works, and clears what no run will use.
//!
//! Releases before 1.0 resume the half of a file, `<hash>.<digest>.incomplete`. Later ones give it a random name besides,
//! `<hash>.<digest>.<8 hex digits>.incomplete`, and never look at it again: only the whole files of such a run are of use.

use std::path::{Path, PathBuf};

use fs_err::create_dir_all;
use provisioner_core::{FetchError, FetchErrorKind, ScratchFolder};
use tempfile::TempDir;

/// Holds the folder in which the command keeps what it needs for itself.
#[derive(Debug)]
pub(super) struct Workplace {
    folder: PathBuf,
    /// Removes the folder, where no caller keeps it.
    _temporary: Option<TempDir>,
}

impl Workplace {
    /// Returns the workplace in a scratch folder, or one that goes when it is dropped. It may block.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn make(scratch: Option<&ScratchFolder>) -> Result<Self, FetchError> {
        let made = match scratch {
            Some(scratch) => Ok(Self { folder: scratch.work(), _temporary: None }),
            None => tempfile::Builder::new()
                .prefix("hf-listing.")
                .tempdir()
                .map(|dir| Self { folder: dir.path().to_owned(), _temporary: Some(dir) }),
        };
        made.and_then(|place| create_dir_all(place.home()).map(|()| place)).map_err(failed)
    }

    /// Returns the folder that the command works in.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the home of the command, with its cache and its settings.
    pub(super) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// Returns the cache in that home, which has the layout of the Hub's own tools.
    pub(super) fn cache(&self) -> PathBuf {
        self.home().join("hub")
    }
}

/// Removes the halves of files that no run will resume, so that each cut off download does not take the disk once more. It may block.
///
/// # Errors
/// What the disk says.
pub(super) fn clear_dead_halves(scratch: &ScratchFolder) -> Result<(), FetchError> {
    let cleared = |error: std::io::Error| {
        FetchError::new(FetchErrorKind::Storage, "the scratch folder cannot be cleared").because(error)
    };
    let mut waiting = vec![scratch.files().join(".cache/huggingface/download")];
    while let Some(folder) = waiting.pop() {
        for path in durable_fs::entries(&folder).map_err(|error| cleared(error.into()))? {
            let found = fs_err::symlink_metadata(&path);
            if found.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
                waiting.push(path);
            } else if is_dead_half(&path) {
                fs_err::remove_file(&path).map_err(cleared)?;
            }
        }
    }
    Ok(())
}

/// Returns whether a file is half of one, under a random name.
fn is_dead_half(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let random = name.strip_suffix(".incomplete").and_then(|rest| rest.rsplit_once('.'));
    random.is_some_and(|(before, random)| {
        before.contains('.') && random.len() == 8 && random.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Returns the error of a disk that takes no folder.
pub(super) fn failed(error: std::io::Error) -> FetchError {
    FetchError::new(FetchErrorKind::Storage, "the scratch folder cannot be made").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_that_no_run_resumes_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = ScratchFolder::new(dir.path());
        clear_dead_halves(&scratch).unwrap();
        let folder = scratch.files().join(".cache/huggingface/download/sub");
        create_dir_all(&folder).unwrap();
        let kept =
            ["Kx=.0a1b.incomplete", "x.gguf.metadata", "0a1b2c3d.incomplete", "Kx=.0a1b.0a1b2c3.incomplete"];
        for name in kept.iter().chain(&["Kx=.0a1b.0a1b2c3d.incomplete"]) {
            fs_err::write(folder.join(name), "half").unwrap();
        }
        clear_dead_halves(&scratch).unwrap();
        let left = durable_fs::entries(&folder).unwrap();
        let mut left: Vec<_> = left.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        let mut expected = kept.to_vec();
        left.sort_unstable();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
