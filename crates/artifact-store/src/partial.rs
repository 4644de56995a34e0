//! Unfinished transfers.
//!
//! # Model
//! `partial/<key>.<owner>/` holds the `data` of one file, the `journal` of which bytes are there, a `lock`, and `about`: for
//! which model, how large it will be, and whose it is. It belongs to one process at a time, and outlives it.
//!
//! # Adoption
//! What a dead process left goes on in the hands of the next one. A lock that is free says that its owner is dead or has given
//! up; where locks are not to be trusted, the owner must be known to be dead, or the partial must have been left alone
//! for ten minutes. It is taken by renaming it, which only one of several adopters can do.
//!
//! # Small files
//! What a model has of many small files shares one partial, in which each has a place in `small`: a folder, a lock and an
//! open descriptor for each would cost more than its bytes. It is adopted for the same model only.
//!
//! # Views
//! A folder in which a view is built is a partial too, of that view. The seal of the unfinished view is a draft, by which
//! the blobs are found that it was to have; the next commit of the view takes the folder over.
//!
//! # Somebody else's file
//! A hard link to a file of another tool is called `linked`, or ends with it, and is never the data of a transfer: that name
//! alone says that nothing may be written there, whatever happens to the process that made it.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use provisioner_core::{RelativePath, key_of};

use crate::{
    Result, Store,
    partial_file::{DATA, JOURNAL, PartialFile, SMALL, has_small, is_folder, is_own_file},
    partial_meta::PartialMeta,
    scan::{entries, is_named},
    space::allocated_bytes,
    view::SEAL,
};

/// How long a partial whose owner is on another machine must have been left alone before it is taken for abandoned.
const QUIET: Duration = Duration::from_secs(600);

/// The folder of a file that is being transferred, or of a model's small ones. It belongs to this process for as long as this
/// value lives; what is in it outlives the process, for the next one to adopt.
#[derive(Debug)]
pub struct Partial {
    folder: PathBuf,
    _lock: durable_fs::Lock,
}

impl Store {
    /// The partial of a file, by what identifies its content: one that a dead process left, or a new one. `size_bytes` is
    /// what the whole file will take, `model` the id of the model that it is for; `left` is what [`left`](Self::left)
    /// found.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::NotOurs`](crate::Error::NotOurs).
    pub fn partial(
        &self,
        identity: &str,
        size_bytes: u64,
        model: &str,
        left: &ResumableTransfers,
    ) -> Result<Partial> {
        self.partial_for(Kind::File, identity, size_bytes, model, left)
    }

    fn partial_for(
        &self,
        kind: Kind,
        identity: &str,
        size_bytes: u64,
        model: &str,
        left: &ResumableTransfers,
    ) -> Result<Partial> {
        let partials = self.partials();
        durable_fs::create_folders(&partials)?;
        let key = key_of_partial(identity);
        let mut made = self.adopt(kind, key.as_str(), left).map_or_else(|| self.make(&key), Ok);
        // A sweep may have taken the new folder for a dead one, in the moment before it was locked.
        for _ in 0..MAX_TRIES {
            if made.is_err() {
                made = self.make(&key);
            }
        }
        let partial = made?;
        PartialMeta::new(model, size_bytes).write(&partial.folder)?;
        Ok(partial)
    }

    /// The partial of the small files of a model.
    ///
    /// # Errors
    /// As [`partial`](Self::partial).
    pub fn partial_of_small(&self, model: &str, left: &ResumableTransfers) -> Result<Partial> {
        self.partial_for(Kind::Small, &identity_of_small(model), 0, model, left)
    }

    /// A folder of our own, in which a view is built: a new one, or one that a dead process left, with nothing in it but
    /// the draft of a seal.
    pub(crate) fn begin_view(&self, root: &Path) -> Result<Partial> {
        let scaffold = self.partial_for(Kind::View, &self.name_of_view(root), 0, "", &self.resumable()?)?;
        let view = scaffold.view();
        fs_err::create_dir_all(&view)?;
        strip(&view)?;
        Ok(scaffold)
    }

    /// What a view is being built as, or was when somebody died: folders that are not whole.
    pub(crate) fn unfinished(&self, root: &Path) -> Result<Vec<PathBuf>> {
        let key = key_of_partial(&self.name_of_view(root));
        let folders = self.partial_folders()?.into_iter();
        Ok(folders.filter(|folder| is_named(folder, &key)).map(|folder| view_of(&folder)).collect())
    }

    /// A new file that is to be renamed into its place. When we die before, the next sweep removes it.
    pub(crate) fn scrap(&self) -> Result<tempfile::NamedTempFile> {
        durable_fs::create_folders(&self.partials())?;
        Ok(tempfile::Builder::new().prefix(DISCARDED).tempfile_in(self.partials())?)
    }

    /// A new partial. Its folder has a hidden name until it is locked, so that nobody adopts it.
    fn make(&self, key: &str) -> Result<Partial> {
        let new = tempfile::Builder::new().prefix(NEW).tempdir_in(self.partials())?.keep();
        let mut partial = Partial::own(new.clone())?;
        partial.folder = self.name_of(key, &new);
        fs_err::rename(new, &partial.folder)?;
        Ok(partial)
    }

    /// A partial of this key that nobody holds, renamed so that it is ours: only one of several adopters finds the old
    /// name. Whoever loses goes without.
    fn adopt(&self, kind: Kind, key: &str, left: &ResumableTransfers) -> Option<Partial> {
        left.folders.get(key)?.iter().find_map(|folder| {
            let partial = self.own_again(folder, left.trusts_locks).filter(|_| kind.is_at(folder))?;
            let ours = self.name_of(key, folder);
            fs_err::rename(folder, &ours).ok()?;
            Some(Partial { folder: ours, ..partial })
        })
    }

    /// Takes the lock of a folder that somebody left, if he is surely gone. It creates nothing there.
    pub(crate) fn own_again(&self, folder: &Path, trusts_locks: bool) -> Option<Partial> {
        let partial =
            if folder.join("lock").exists() { Partial::own(folder.to_owned()).ok()? } else { return None };
        (trusts_locks || self.is_abandoned(folder)).then_some(partial)
    }

    /// Whether nobody works on a partial any more, without asking for its lock.
    pub(crate) fn is_abandoned(&self, folder: &Path) -> bool {
        match PartialMeta::read(folder).and_then(|about| about.owner.is_alive()) {
            Some(is_alive) => !is_alive,
            None => self.is_quiet(folder),
        }
    }

    /// Whether nothing in a folder changed for a long time, by the clock of the file system.
    fn is_quiet(&self, folder: &Path) -> bool {
        let modified = |path: &Path| fs_err::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let clock = self.locks().join("clock");
        let Some(now) = durable_fs::touch(&clock).ok().and_then(|()| modified(&clock)) else { return false };
        let last = [folder.to_owned(), folder.join(DATA), folder.join(JOURNAL), folder.join(SMALL)];
        let last = last.iter().filter_map(|path| modified(path)).max().unwrap_or(SystemTime::UNIX_EPOCH);
        now.duration_since(last).is_ok_and(|quiet| quiet >= QUIET)
    }

    /// A name that no other folder has: an owner's number, and part of a name that was unique before.
    fn name_of(&self, key: &str, unique: &Path) -> PathBuf {
        let unique = unique.file_name().unwrap_or_default().to_string_lossy();
        let unique = unique.rsplit('.').next().unwrap_or_default();
        let unique = unique.rsplit('-').next().unwrap_or_default();
        self.partials().join(format!("{key}.{}-{unique}", std::process::id()))
    }

    /// What unfinished transfers left, by one look.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn resumable(&self) -> Result<ResumableTransfers> {
        let folders = self.partial_folders()?;
        let mut left = ResumableTransfers {
            trusts_locks: !folders.is_empty() && self.trusts_locks(),
            ..ResumableTransfers::default()
        };
        for folder in folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let key = name.split('.').next().unwrap_or_default().to_owned();
            left.folders.entry(key).or_default().push(folder);
        }
        Ok(left)
    }

    /// Removes what dying processes left: partials that were never finished making, that were being removed, and those
    /// that nobody can go on from, for their data is a blob already, or somebody else's file. Of a view that was being built
    /// the draft of its seal is left, and nothing that would keep its blobs from being freed.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn sweep(&self) -> Result<()> {
        let folders = self.all_partial_folders()?;
        let trusts_locks = !folders.is_empty() && self.trusts_locks();
        for folder in folders {
            let is_gone = || is_named(&folder, DISCARDED);
            // Its maker may have died before there was a lock. One that lives makes another one.
            let is_free = || Partial::own(folder.clone()).is_ok() && (trusts_locks || self.is_quiet(&folder));
            let is_unfinished = || is_named(&folder, NEW) && is_free();
            let is_rest = || !can_go_on(&folder) && self.own_again(&folder, trusts_locks).is_some();
            if is_gone() || is_unfinished() || is_rest() {
                discard(&folder)?;
            } else if Kind::View.is_at(&folder)
                && let Some(scaffold) = self.own_again(&folder, trusts_locks)
            {
                strip(&scaffold.view())?;
            }
        }
        Ok(())
    }

    /// Removes what unfinished transfers left of a file that is here now by another way.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn discard_resumable(&self, identity: &str, left: &ResumableTransfers) -> Result<()> {
        for folder in left.folders_of(identity) {
            if self.own_again(folder, left.trusts_locks).is_some() {
                discard(folder)?;
            }
        }
        Ok(())
    }

    /// Removes what unfinished transfers left for a model that is whole now: of another revision, or of files that came by
    /// another way.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn discard_resumable_of(&self, model: &str) -> Result<()> {
        self.discard_transfers(model).map(drop)
    }

    pub(crate) fn partial_folders(&self) -> Result<Vec<PathBuf>> {
        Ok(self.all_partial_folders()?.into_iter().filter(|folder| !is_named(folder, ".")).collect())
    }

    fn all_partial_folders(&self) -> Result<Vec<PathBuf>> {
        match fs_err::read_dir(self.partials()) {
            Ok(entries) => {
                Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a partial is for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// One file.
    File,
    /// The small files of a model.
    Small,
    /// A view.
    View,
}

impl Kind {
    /// Whether a folder is one from which that can go on.
    fn is_at(self, folder: &Path) -> bool {
        let has = |name: &str| is_own_file(&folder.join(name));
        let is_folder = |name: &str| is_folder(&folder.join(name));
        has("about")
            && match self {
                Self::File => has(DATA) && has(JOURNAL),
                Self::Small => has_small(folder),
                Self::View => is_folder(VIEW) && has(&format!("{VIEW}/{SEAL}")),
            }
    }
}

/// Whether a transfer, or a commit, could go on from a partial.
pub(crate) fn can_go_on(folder: &Path) -> bool {
    [Kind::File, Kind::Small, Kind::View].into_iter().any(|kind| kind.is_at(folder))
}

/// Removes what was built of a view, but for the draft of its seal.
fn strip(view: &Path) -> Result<()> {
    let mut built = entries(view)?.into_iter().filter(|path| !path.ends_with(SEAL));
    Ok(built.try_for_each(|path| remove(&path).map(drop))?)
}

/// Removes a partial, and returns whether it was there. It is renamed first, so that half of one is never taken for a whole.
pub(crate) fn discard(folder: &Path) -> Result<bool> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let gone = folder.with_file_name(format!("{DISCARDED}{}", name.trim_start_matches(DISCARDED)));
    let renamed = if gone == folder { Ok(()) } else { fs_err::rename(folder, &gone) };
    match renamed.and_then(|()| remove(&gone)) {
        // Another process removes it too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // Where an open file cannot go (NFS, FUSE), its lock stays under another name; the next sweep removes the rest.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(true),
        done => Ok(done?),
    }
}

/// Removes a file, if it is there.
pub(crate) fn unlink(path: &Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}

/// Removes a file, or a folder and all in it, and returns whether it was there: another process may have removed it.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) } {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

pub(crate) fn key_of_partial(identity: &str) -> String {
    key_of(identity)[..32].to_owned()
}

/// How the names of partials begin that are being removed, and that are being made.
pub(crate) const DISCARDED: &str = ".gone.";
pub(crate) const NEW: &str = ".new.";

fn identity_of_small(model: &str) -> String {
    format!("small files of {model}")
}

/// The folder of a view that is being built.
const VIEW: &str = "view";

/// Where a partial has the view that is built in it.
pub(crate) fn view_of(partial: &Path) -> PathBuf {
    partial.join(VIEW)
}

/// How often a new partial is made before the reason counts why it cannot be.
const MAX_TRIES: usize = 8;

/// What unfinished transfers left.
#[derive(Debug, Default)]
pub struct ResumableTransfers {
    trusts_locks: bool,
    folders: HashMap<String, Vec<PathBuf>>,
}

impl ResumableTransfers {
    /// Whether transfers left small files of a model.
    pub fn has_small(&self, model: &str) -> bool {
        self.folders.contains_key(&key_of_partial(&identity_of_small(model)))
    }

    /// Where the unfinished transfers of a file lie, by what identifies its content.
    pub fn folders_of(&self, identity: &str) -> &[PathBuf] {
        self.folders.get(&key_of_partial(identity)).map_or(&[], Vec::as_slice)
    }

    /// How many bytes of a file of a model are on the disk already, for the next transfer to go on from; `None` where no
    /// transfer of it left anything.
    pub fn bytes_of(&self, model: &str, identity: &str, path: &RelativePath) -> Option<u64> {
        let of = |identity: &str| self.folders_of(identity).iter();
        let own = of(identity).map(|folder| PartialFile::of(folder).data);
        let small =
            of(&identity_of_small(model)).map(|folder| PartialFile::small(folder, identity, path).data);
        own.chain(small.filter(|data| data.exists())).map(|data| allocated_bytes(&data)).max()
    }
}

impl Partial {
    fn own(folder: PathBuf) -> Result<Self> {
        let lock = durable_fs::lock(&folder.join("lock"), Duration::ZERO)?;
        Ok(Self { folder, _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says how much it will take of the disk in all.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn promise(&self, size_bytes: u64) -> Result<()> {
        let Some(about) = PartialMeta::read(&self.folder) else { return Ok(()) };
        PartialMeta { size_bytes, ..about }.write(&self.folder)
    }

    /// The place of its only file.
    pub fn file(&self) -> PartialFile {
        PartialFile::of(&self.folder)
    }

    /// The place of one of its small files, by what identifies its content and by its path. What no transfer can have made
    /// there is removed.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn small_file(&self, identity: &str, path: &RelativePath) -> Result<PartialFile> {
        // For each anew: where locks lie, somebody may have taken the folder for a dead one's.
        fs_err::create_dir_all(self.folder.join(SMALL))?;
        let slot = PartialFile::small(&self.folder, identity, path);
        slot.clear_foreign()?;
        Ok(slot)
    }

    /// Where a view is built.
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

#[cfg(test)]
mod tests;
