//! Gives live processes leases on models: no process removes a leased model.
//!
//! # Model
//! A lease is a shared lock on the file `leases/<key>`, which no process removes. The lease ends with its last descriptor,
//! and so with the process that holds it, however that process ends; a child that inherits the descriptor keeps the lease. A
//! process that removes a model needs that lock alone, and keeps it until the files are gone: no process gets a lease on a
//! model that is going.
//!
//! A process that may not write in the store, as behind a read-only mount, and finds no such file, shares a lock on the seal
//! of the view instead. A process that removes a model needs that lock alone too.
//!
//! Beside the file lies a note of the holder, `leases/<key>.<random>`, under a lock of its own. A person reads it. A note
//! without a lock belongs to a lease that has ended, and means nothing. A program that inherited its lease leaves its note
//! behind; the next process that takes a lease, removes a model or collects garbage removes the note.
//!
//! # Where locks lie
//! A lease that other processes cannot see protects nothing. So no process evicts anything where
//! [`durable_fs::lock_trust`] doubts.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use durable_fs::{Lock, ProcessIdentity, entries};
use provisioner_core::ErrorCode;
use rustix::io::FdFlags;

use crate::{
    error::{Error, Result},
    files::modified,
    layout::{SEAL, Store},
    locks::{
        holder::LeaseHolder,
        process::{read_process, this_process, to_json},
        trust::is_held,
    },
};

/// How often a process makes a note before it takes the lease without one.
const MAX_TRIES: usize = 8;

/// Holds a lease on a model. While it lives, no process removes the model's files.
#[derive(Debug)]
#[must_use = "the lease ends when it is dropped"]
pub struct Lease {
    /// `None` where no process removes the model: it is not in the store, and this process may not write there.
    lock: Option<Lock>,
    note: Option<Note>,
}

/// Holds the note of a lease.
#[derive(Debug)]
struct Note {
    lock: Lock,
    path: PathBuf,
    writer: u32,
}

/// Keeps every process from taking a lease on a model, until it is dropped.
#[derive(Debug)]
#[must_use = "other processes may take a lease when it is dropped"]
pub struct LeaseBlock {
    _lock: Lock,
    _seal: Option<Lock>,
}

impl Lease {
    /// Starts a program that keeps the lease for as long as it leaves the descriptor open. The caller may drop its own lease.
    /// A program that another thread starts at the same time does not get the lease.
    ///
    /// # Errors
    /// What keeps the operating system from starting the program.
    pub fn spawn(&mut self, mut command: Command) -> io::Result<Child> {
        let descriptors = self.descriptors().map(|descriptor| descriptor.try_clone_to_owned());
        hand_on(&mut command, descriptors.collect::<io::Result<_>>()?);
        let child = command.spawn()?;
        if let Some(note) = &mut self.note {
            note.hand_to(child.id());
        }
        Ok(child)
    }

    /// Sets whether the program that this process becomes, and each one that it starts, keeps the lease.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn inherit(&self, does: bool) -> io::Result<()> {
        let flags = if does { FdFlags::empty() } else { FdFlags::CLOEXEC };
        for lock in self.lock.iter().chain(self.note.as_ref().map(|note| &note.lock)) {
            rustix::io::fcntl_setfd(lock, flags)?;
        }
        Ok(())
    }

    /// Returns the descriptors that keep the lease, for a caller that passes them on in its own way.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.lock.iter().chain(self.note.as_ref().map(|note| &note.lock)).map(AsFd::as_fd)
    }
}

/// Makes one program inherit some descriptors. No other program that this process starts meanwhile gets them.
#[expect(unsafe_code, reason = "std has no other way to hand a descriptor to one child alone")]
fn hand_on(command: &mut Command, descriptors: Vec<OwnedFd>) {
    let inherit = move || {
        descriptors
            .iter()
            .try_for_each(|descriptor| Ok(rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?))
    };
    // SAFETY: between fork and exec it makes one system call for each descriptor; it allocates nothing, and takes no lock.
    unsafe { command.pre_exec(inherit) };
}

impl Note {
    fn hand_to(&mut self, pid: u32) {
        if let Some(process) = ProcessIdentity::of(pid)
            && self.lock.write(&to_json(&process)).is_ok()
        {
            self.writer = pid;
        }
    }
}

impl Drop for Note {
    /// Removes the note, unless another process keeps the lease.
    fn drop(&mut self) {
        if self.writer == std::process::id() {
            let _ = fs_err::remove_file(&self.path);
        }
    }
}

impl Store {
    /// Makes the file that leases on a view lock, so that a process that may not write here can take one too.
    pub(crate) fn prepare_lease(&self, root: &Path) {
        let path = self.lease_path(root, "");
        let made = durable_fs::create_folders(&self.leases()).and_then(|()| durable_fs::touch(&path));
        if let Err(error) = made {
            tracing::debug!("cannot make the file for leases on `{}`: {error}", root.display());
        }
    }

    /// Takes a lease on a model, by the folder of its files and its id. The caller must check afterwards whether the model is
    /// still there.
    ///
    /// # Errors
    /// [`Error::Busy`] where another process is still removing the model after `wait`; [`Error::Io`].
    pub fn lease(&self, root: &Path, id: &str, wait: Duration) -> Result<Lease> {
        let path = self.lease_path(root, id);
        let made =
            durable_fs::create_folders(&self.leases()).and_then(|()| durable_fs::lock_shared(&path, wait));
        match made.map_err(Error::from) {
            Ok(lock) => {
                self.sweep_leases();
                Ok(Lease { lock: Some(lock), note: self.note(&path).ok() })
            }
            Err(error) if matches!(error.code(), ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                self.lease_without_writing(root, id, wait)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a lease without writing, on the seal of the view. No process removes the files of a model that is not in the
    /// store.
    fn lease_without_writing(&self, root: &Path, id: &str, wait: Duration) -> Result<Lease> {
        if !self.holds(root) {
            return Ok(Lease { lock: None, note: None });
        }
        match durable_fs::lock_shared_found(&root.join(SEAL), wait)? {
            Some(lock) => Ok(Lease { lock: Some(lock), note: None }),
            None => Err(Error::Busy(format!("another process is removing `{id}`"))),
        }
    }

    /// Removes the notes of leases that have ended. A note that it cannot remove stays until the next time.
    pub fn sweep_leases(&self) {
        let notes = entries(&self.leases()).unwrap_or_default();
        notes.iter().filter(|path| path.extension().is_some()).for_each(|path| {
            remove_ended(path);
        });
    }

    fn note(&self, lease: &Path) -> Result<Note> {
        let mut made = self.try_note(lease);
        // Another process may take a new note for an ended one, in the moment before this process locks it.
        for _ in 0..MAX_TRIES {
            if made.is_err() {
                made = self.try_note(lease);
            }
        }
        made
    }

    fn try_note(&self, lease: &Path) -> Result<Note> {
        let prefix = format!("{}.", lease.file_name().unwrap_or_default().to_string_lossy());
        let file = tempfile::Builder::new().prefix(&prefix).tempfile_in(self.leases())?;
        let mut lock = durable_fs::lock(file.path(), Duration::ZERO)?;
        lock.write(&this_process())?;
        let (_, path) = file.keep().map_err(|error| error.error)?;
        Ok(Note { lock, path, writer: std::process::id() })
    }

    /// Returns the processes that have a lease on a model, and removes the notes of dead ones.
    ///
    /// # Errors
    /// What the operating system says of the folder of leases.
    pub fn holders(&self, root: &Path, id: &str) -> Result<Vec<LeaseHolder>> {
        let path = self.lease_path(root, id);
        let prefix = format!("{}.", path.file_name().unwrap_or_default().to_string_lossy());
        let mut holders = Vec::new();
        for note in entries(&self.leases())? {
            let is_of = note.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
            if !is_of || remove_ended(&note) {
                continue;
            }
            if let Some(process) = read_process(&note) {
                let metadata = fs_err::symlink_metadata(&note).ok();
                let since = metadata.and_then(|metadata| modified(&metadata));
                holders.push(LeaseHolder { process: process.now(), since });
            }
        }
        holders.sort_unstable_by_key(|holder| holder.process.pid);
        Ok(holders)
    }

    /// Returns the processes that have a lease on a model, and `None` where none has. A process that left no note is not
    /// among them.
    pub(crate) fn leased(&self, root: &Path, id: &str) -> Option<Vec<LeaseHolder>> {
        let path = self.lease_path(root, id);
        is_held(&path).then(|| self.holders(root, id).unwrap_or_default())
    }

    /// Checks that no process has a lease on a model, and blocks new leases until the result is dropped.
    ///
    /// # Errors
    /// [`Error::Leased`], with the holders; [`Error::UntrustedLocks`]; [`Error::Io`].
    pub fn block_leases(&self, root: &Path, id: &str) -> Result<LeaseBlock> {
        let path = self.lease_path(root, id);
        durable_fs::create_folders(&self.leases())?;
        self.check_locks()?;
        self.sweep_leases();
        let both = durable_fs::lock(&path, Duration::ZERO)
            .and_then(|lock| Ok((lock, durable_fs::lock_found(&root.join(SEAL), Duration::ZERO)?)));
        match both {
            Ok((lock, seal)) => Ok(LeaseBlock { _lock: lock, _seal: seal }),
            Err(durable_fs::Error::Busy { .. }) => {
                Err(Error::Leased { id: id.to_owned(), holders: self.holders(root, id)? })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Removes a note whose lease has ended. Returns whether the lease has ended.
fn remove_ended(note: &Path) -> bool {
    // A shared lock needs no right to write.
    let has_ended = durable_fs::lock_shared(note, Duration::ZERO).is_ok();
    if has_ended {
        let _ = fs_err::remove_file(note);
    }
    has_ended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store-v1"));
        (dir, store)
    }

    #[test]
    fn what_is_leased_is_not_taken_away() {
        let (_dir, store) = store();
        let root = store.models().join("hf/org/repo/1/all");
        let lease = store.lease(&root, "hf:org/repo", Duration::ZERO).unwrap();
        let other_id = store.block_leases(&root, "hf:org/repo@main").unwrap_err();
        assert!(matches!(&other_id, Error::Leased { holders, .. } if holders.len() == 1), "{other_id}");
        assert!(other_id.to_string().contains(&format!("process {}", std::process::id())), "{other_id}");
        drop(lease);
        let alone = store.block_leases(&root, "hf:org/repo").unwrap();
        assert_eq!(store.lease(&root, "hf:org/repo", Duration::ZERO).unwrap_err().code(), ErrorCode::Busy);
        drop(alone);
        assert!(store.holders(&root, "hf:org/repo").unwrap().is_empty());
        let left: Vec<_> = fs_err::read_dir(store.leases()).unwrap().collect();
        assert_eq!(left.len(), 1, "the lock alone: {left:?}");
    }

    #[test]
    fn the_notes_of_ended_leases_go_with_the_next_one() {
        let (_dir, store) = store();
        let notes = || {
            let all = entries(&store.leases()).unwrap();
            all.iter().filter(|path| path.extension().is_some()).count()
        };
        // A killed engine leaves a note without a lock, of any model.
        fs_err::create_dir_all(store.leases()).unwrap();
        for name in ["a.1", "a.2", "b.1"] {
            fs_err::write(store.leases().join(name), this_process()).unwrap();
        }
        let root = store.models().join("hf/org/repo/1/all");
        let first = store.lease(&root, "hf:org/repo", Duration::ZERO).unwrap();
        assert_eq!(notes(), 1);
        let second = store.lease(&root, "hf:org/repo", Duration::ZERO).unwrap();
        assert_eq!((notes(), store.holders(&root, "hf:org/repo").unwrap().len()), (2, 2));
        drop((first, second));
        fs_err::write(store.root().join("leases/a.3"), "{}").unwrap();
        store.sweep_leases();
        assert_eq!(notes(), 0);
    }

    #[test]
    fn who_may_not_write_leases_the_seal() {
        let (_dir, store) = store();
        let root = store.models().join("a");
        fs_err::create_dir_all(&root).unwrap();
        let none = store.lease_without_writing(&root, "a", Duration::ZERO).unwrap_err();
        assert_eq!(none.code(), ErrorCode::Busy, "there is nothing to keep");
        fs_err::write(root.join(SEAL), "{}").unwrap();
        let lease = store.lease_without_writing(&root, "a", Duration::ZERO).unwrap();
        assert!(matches!(store.block_leases(&root, "a"), Err(Error::Leased { .. })));
        drop(lease);
        drop(store.block_leases(&root, "a").unwrap());
        drop(
            store
                .lease_without_writing(Path::new("/elsewhere"), "local:/elsewhere/a", Duration::ZERO)
                .unwrap(),
        );
    }
}
