//! Holds a folder in which a process builds a bundle, and which it renames whole.
//!
//! # Model
//! `.exporting.<random>` lies beside the folder that it becomes. Its lock, `.exporting.<random>.lock`, names the process that
//! builds there. The process takes the lock before it makes the folder, and removes it after the rename. A killed process
//! leaves both; the next process that builds beside them removes them.
//!
//! # Where locks lie
//! A process removes a folder with a free lock and a dead builder. Where it cannot ask the builder's machine, it removes a
//! folder in which no process wrote for ten minutes.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use durable_fs::{Lock, ProcessIdentity, entries};

use crate::error::{Error, Result};

/// The start of the name of each folder in which a bundle is built.
const PREFIX: &str = ".exporting.";

/// The ending of the name of such a folder's lock.
const LOCK: &str = "lock";

/// The largest text of a lock that this process reads, in bytes.
const MAX_LOCK_BYTES: u64 = 4096;

/// How long a folder must have been left alone before this process removes it without an answer of its builder's machine.
const QUIET: Duration = Duration::from_secs(600);

/// How often a process makes a new lock before a failure counts.
const MAX_TRIES: usize = 8;

/// Holds a folder in which this process builds. Dropping it removes the folder.
#[derive(Debug)]
pub(crate) struct Aside {
    folder: PathBuf,
    lock: PathBuf,
    _held: Lock,
}

impl Aside {
    /// Makes a folder in another one, and removes what dead processes left beside it.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let mut made = Self::make(parent);
        // Another process may take a new lock for a dead one's, in the moment before this process locks it.
        for _ in 0..MAX_TRIES {
            if made.is_err() {
                made = Self::make(parent);
            }
        }
        let aside = made?;
        if let Err(error) = aside.sweep(parent) {
            tracing::debug!("cannot remove what dead processes left in `{}`: {error}", parent.display());
        }
        fs_err::create_dir(&aside.folder)?;
        // No other user reads a half of a bundle.
        fs_err::set_permissions(&aside.folder, PermissionsExt::from_mode(0o700))?;
        Ok(aside)
    }

    fn make(parent: &Path) -> Result<Self> {
        let file = tempfile::Builder::new().prefix(PREFIX).suffix(&format!(".{LOCK}")).tempfile_in(parent)?;
        let mut held = durable_fs::lock(file.path(), Duration::ZERO)?;
        held.write(&serde_json::to_vec(&ProcessIdentity::this()).map_err(io::Error::from)?)?;
        let (_, lock) = file.keep().map_err(|error| error.error)?;
        Ok(Self { folder: lock.with_extension(""), lock, _held: held })
    }

    /// Returns the path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Renames the folder to a name that is free, or that an empty folder has.
    pub(crate) fn rename_to(self, dir: &Path) -> Result<()> {
        match fs_err::rename(&self.folder, dir) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                Err(Error::InTheWay { path: dir.to_owned() })
            }
            renamed => Ok(renamed?),
        }
    }

    /// Removes what dead processes left in a folder.
    fn sweep(&self, parent: &Path) -> Result<()> {
        // This process has just written its own lock, by the clock of the file system.
        let now = fs_err::metadata(&self.lock)?.modified()?;
        for path in entries(parent)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with(PREFIX) {
                continue;
            }
            let is_lock = name.ends_with(&format!(".{LOCK}"));
            let (folder, lock) = if is_lock {
                (path.with_extension(""), path)
            } else {
                let lock = parent.join(format!("{name}.{LOCK}"));
                (path, lock)
            };
            if lock != self.lock && is_abandoned(&folder, &lock, now) {
                for rest in [&folder, &lock].into_iter().filter(|path| path.exists()) {
                    remove(rest)?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.folder);
        let _ = fs_err::remove_file(&self.lock);
    }
}

/// Returns whether no live process builds in a folder.
fn is_abandoned(folder: &Path, lock: &Path, now: SystemTime) -> bool {
    let is_quiet = || {
        let written = [folder, lock].into_iter().filter_map(last_write).max();
        written.is_none_or(|at| now.duration_since(at).is_ok_and(|quiet| quiet >= QUIET))
    };
    // A folder without a lock is of an older release, or another process is removing it.
    match durable_fs::lock_found(lock, Duration::ZERO) {
        Ok(Some(_held)) => match builder(lock).and_then(|builder| builder.is_alive()) {
            Some(is_alive) => !is_alive,
            None => is_quiet(),
        },
        Ok(None) => is_quiet(),
        Err(_) => false,
    }
}

/// Returns the process that a lock names. Returns `None` where it names none.
fn builder(lock: &Path) -> Option<ProcessIdentity> {
    serde_json::from_slice(&durable_fs::read(lock, MAX_LOCK_BYTES).ok()??).ok()
}

/// Removes a file, or a folder and all in it, unless another process has removed it already.
fn remove(path: &Path) -> io::Result<()> {
    match if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) } {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Returns when a process last wrote anything at a path or below it.
fn last_write(path: &Path) -> Option<SystemTime> {
    let metadata = fs_err::symlink_metadata(path).ok()?;
    let below = if metadata.is_dir() { entries(path).unwrap_or_default() } else { Vec::new() };
    below.iter().filter_map(|path| last_write(path)).chain(metadata.modified().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let all = entries(folder).unwrap();
        all.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_a_dead_process_left_goes_and_what_a_live_one_builds_stays() {
        let dir = tempfile::tempdir().unwrap();
        let alive = Aside::new(dir.path()).unwrap();
        fs_err::write(alive.path().join("file"), "x").unwrap();
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let dead = ProcessIdentity::of(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        fs_err::create_dir(dir.path().join(".exporting.dead")).unwrap();
        fs_err::write(dir.path().join(".exporting.dead/file"), "x").unwrap();
        for name in ["dead", "also"] {
            fs_err::write(
                dir.path().join(format!(".exporting.{name}.lock")),
                serde_json::to_vec(&dead).unwrap(),
            )
            .unwrap();
        }
        // The folder has no lock, and a process has just written it: its builder may live.
        fs_err::create_dir(dir.path().join(".exporting.new")).unwrap();
        fs_err::write(dir.path().join("mine"), "x").unwrap();
        drop(Aside::new(dir.path()).unwrap());
        assert!(alive.path().join("file").exists());
        let out = dir.path().join("out");
        alive.rename_to(&out).unwrap();
        assert_eq!(names(dir.path()), [".exporting.new", "mine", "out"]);
        let (old, _) = fs_err::File::open(dir.path().join(".exporting.new")).unwrap().into_parts();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        drop(Aside::new(dir.path()).unwrap());
        assert_eq!(names(dir.path()), ["mine", "out"]);
    }
}
