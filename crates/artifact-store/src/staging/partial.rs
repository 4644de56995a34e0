//! Makes and resumes partials: folders of unfinished transfers and unfinished views.
//!
//! # Model
//! `partial/<key>.<process>/` holds the `data` of one file, the `journal` of the bytes that have arrived, a `lock`, and
//! `about`: the model, the size, and the process that works on it. A partial belongs to one process at a time, and outlives
//! it.
//!
//! # Resuming
//! The next process resumes what a dead one left. A free lock says that the process is dead or has given up. Where locks
//! are not to be trusted, the process must be dead, or the partial must have been left alone for ten minutes. A process
//! takes a partial by renaming it, which only one of several processes can do.
//!
//! # Small files
//! Many small files of a model share one partial, each in `small`: a folder, a lock and an open descriptor for each would
//! cost more than its bytes. Only a transfer of the same model resumes it. The store looks through the folder once, when a process
//! takes it; from then on the place of a file there is a name.
//!
//! # Scratch folders
//! A program that downloads for a source writes into `scratch`, whatever it likes. The store looks at what is there by name alone,
//! follows no symlink, and takes a file out by renaming it (`take.rs`). What the program left when it was cut off stays for the
//! next download of the same model.
//!
//! # Views
//! A folder in which a view is built is a partial too, of that view. The unfinished view holds a draft of its seal, which
//! names the blobs that it was to have. The next commit of the view takes the folder over.
//!
//! # Files of other tools
//! A hard link to a file of another tool is called `linked`, or ends with it, and is never the data of a transfer. That name
//! alone says that no transfer may write there, whatever happens to the process that made the link.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use durable_fs::{entries, usage_below};
use provisioner_core::RelativePath;

use crate::{
    error::Result,
    files::{discard, is_named, remove},
    layout::{DATA, JOURNAL, LOCK, NEW, SCRATCH, SEAL, SMALL, Store, view_of},
    staging::{
        kind::Kind,
        partial_file::{PartialFile, clear_foreign, key_of_partial},
        partial_meta::PartialMeta,
        resumable::{ResumableTransfers, identity_of_scratch, identity_of_small},
    },
};

/// How long a partial must have been left alone before this process takes it from one on another machine.
const QUIET: Duration = Duration::from_secs(600);

/// How often the store makes a new partial before a failure counts.
const MAX_TRIES: usize = 8;

/// Holds the folder of a file that a transfer writes, or of a model's small files. It belongs to this process until this
/// value is dropped. The files in it stay, and the next process resumes them.
#[derive(Debug)]
pub struct Partial {
    folder: PathBuf,
    _lock: durable_fs::Lock,
}

impl Store {
    /// Returns a partial for a file, by what identifies its content: one that a dead process left, or a new one.
    ///
    /// `size_bytes` is what the whole file will take, in bytes. `model` is the id of the model that needs the file.
    /// `resumable` is what [`resumable`](Self::resumable) found.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::NotOurs`](crate::Error::NotOurs).
    pub fn partial(
        &self,
        identity: &str,
        size_bytes: u64,
        model: &str,
        resumable: &ResumableTransfers,
    ) -> Result<Partial> {
        self.partial_for(Kind::File, identity, size_bytes, model, resumable)
    }

    fn partial_for(
        &self,
        kind: Kind,
        identity: &str,
        size_bytes: u64,
        model: &str,
        resumable: &ResumableTransfers,
    ) -> Result<Partial> {
        durable_fs::create_folders(&self.partials())?;
        let key = key_of_partial(identity);
        let mut made = self.resume(kind, key.as_str(), resumable).map_or_else(|| self.make(&key), Ok);
        // Another process may have swept the new folder as a dead one's, in the moment before this process locked it.
        for _ in 0..MAX_TRIES {
            if made.is_err() {
                made = self.make(&key);
            }
        }
        let partial = made?;
        PartialMeta::new(model, size_bytes).write(&partial.folder)?;
        Ok(partial)
    }

    /// Returns the partial of the small files of a model. The store removes whatever lies among them and cannot be the work of a
    /// transfer.
    ///
    /// # Errors
    /// As [`partial`](Self::partial).
    pub fn partial_of_small(&self, model: &str, resumable: &ResumableTransfers) -> Result<Partial> {
        let partial = self.partial_for(Kind::Small, &identity_of_small(model), 0, model, resumable)?;
        let small = partial.folder.join(SMALL);
        fs_err::create_dir_all(&small)?;
        clear_foreign(&small)?;
        Ok(partial)
    }

    /// Returns the partial in which a program of a source downloads for a model, with what an earlier program left there.
    ///
    /// # Errors
    /// As [`partial`](Self::partial).
    pub fn partial_of_scratch(&self, model: &str, resumable: &ResumableTransfers) -> Result<Partial> {
        let partial = self.partial_for(Kind::Scratch, &identity_of_scratch(model), 0, model, resumable)?;
        fs_err::create_dir_all(partial.scratch())?;
        Ok(partial)
    }

    /// Returns a partial in which a view is built: a new one, or one that a dead process left, with nothing in it but the
    /// draft of a seal.
    pub(crate) fn begin_view(&self, root: &Path) -> Result<Partial> {
        let partial = self.partial_for(Kind::View, &self.name_of_view(root), 0, "", &self.resumable()?)?;
        let view = partial.view();
        fs_err::create_dir_all(&view)?;
        strip(&view)?;
        Ok(partial)
    }

    /// Returns the folders in which a view is being built, or was when its process died.
    pub(crate) fn unfinished(&self, root: &Path) -> Result<Vec<PathBuf>> {
        let key = key_of_partial(&self.name_of_view(root));
        let folders = self.partial_folders()?.into_iter();
        Ok(folders.filter(|folder| is_named(folder, &key)).map(|folder| view_of(&folder)).collect())
    }

    /// Makes a partial. Its folder has a hidden name until it is locked, so that no other process resumes it.
    fn make(&self, key: &str) -> Result<Partial> {
        let new = tempfile::Builder::new().prefix(NEW).tempdir_in(self.partials())?.keep();
        let mut partial = Partial::lock(new.clone())?;
        partial.folder = self.unique_name(key, &new);
        fs_err::rename(new, &partial.folder)?;
        Ok(partial)
    }

    /// Takes a partial of this key that no process holds, by renaming it. Of several processes, only one finds the old name,
    /// and the others return `None`.
    fn resume(&self, kind: Kind, key: &str, resumable: &ResumableTransfers) -> Option<Partial> {
        resumable.folders.get(key)?.iter().find_map(|folder| {
            let partial =
                self.lock_abandoned(folder, resumable.trusts_locks).filter(|_| kind.is_at(folder))?;
            let renamed = self.unique_name(key, folder);
            fs_err::rename(folder, &renamed).ok()?;
            Some(Partial { folder: renamed, ..partial })
        })
    }

    /// Takes the lock of a folder whose process is dead for certain. Creates nothing there.
    pub(crate) fn lock_abandoned(&self, folder: &Path, trusts_locks: bool) -> Option<Partial> {
        let partial =
            if folder.join(LOCK).exists() { Partial::lock(folder.to_owned()).ok()? } else { return None };
        (trusts_locks || self.is_abandoned(folder)).then_some(partial)
    }

    /// Returns whether no live process works on a partial, without trying its lock.
    pub(crate) fn is_abandoned(&self, folder: &Path) -> bool {
        match PartialMeta::read(folder).and_then(|meta| meta.process.is_alive()) {
            Some(is_alive) => !is_alive,
            None => self.is_quiet(folder),
        }
    }

    /// Returns whether nothing in a folder changed for a long time, by the clock of the file system.
    pub(crate) fn is_quiet(&self, folder: &Path) -> bool {
        let modified = |path: &Path| fs_err::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let clock = self.locks().join("clock");
        let Some(now) = durable_fs::touch(&clock).ok().and_then(|()| modified(&clock)) else { return false };
        let written = [folder.to_owned(), folder.join(DATA), folder.join(JOURNAL), folder.join(SMALL)];
        let below = usage_below(&folder.join(SCRATCH)).last_write;
        let times = written.iter().filter_map(|path| modified(path)).chain(below);
        let last = times.max().unwrap_or(SystemTime::UNIX_EPOCH);
        now.duration_since(last).is_ok_and(|quiet| quiet >= QUIET)
    }

    /// Returns a name that no other folder has: the process number, and part of a name that was unique before.
    fn unique_name(&self, key: &str, unique: &Path) -> PathBuf {
        let unique = unique.file_name().unwrap_or_default().to_string_lossy();
        let unique = unique.rsplit('.').next().unwrap_or_default();
        let unique = unique.rsplit('-').next().unwrap_or_default();
        self.partials().join(format!("{key}.{}-{unique}", std::process::id()))
    }
}

impl Partial {
    /// Takes the lock of a folder.
    pub(crate) fn lock(folder: PathBuf) -> Result<Self> {
        let lock = durable_fs::lock(&folder.join(LOCK), Duration::ZERO)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Returns the folder of the partial.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes how many bytes of the disk the partial will take in all.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn promise(&self, size_bytes: u64) -> Result<()> {
        let Some(meta) = PartialMeta::read(&self.folder) else { return Ok(()) };
        PartialMeta { size_bytes, ..meta }.write(&self.folder)
    }

    /// Returns the paths of the partial's only file.
    pub fn file(&self) -> PartialFile {
        PartialFile::of(&self.folder)
    }

    /// Returns the paths of one of its small files, by what identifies its content and by its path in the model.
    pub fn small_file(&self, identity: &str, path: &RelativePath) -> PartialFile {
        PartialFile::small(&self.folder, identity, path)
    }

    /// Returns the folder in which a program of a source downloads.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join(SCRATCH)
    }

    /// Returns the folder in which a view is built.
    pub(crate) fn view(&self) -> PathBuf {
        view_of(&self.folder)
    }

    /// Removes the folder and all in it.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn discard(self) -> Result<()> {
        discard(&self.folder).map(drop)
    }
}

/// Removes what a commit built of a view, but for the draft of its seal.
pub(crate) fn strip(view: &Path) -> Result<()> {
    let mut built = entries(view)?.into_iter().filter(|path| !path.ends_with(SEAL));
    Ok(built.try_for_each(|path| remove(&path).map(drop))?)
}

#[cfg(test)]
mod tests;
