//! Files that survive: written whole or not at all, opened without following a planted symlink, locked with a
//! bounded wait.
//!
//! # Crash safety
//! [`replace`] writes a new file beside the old one, syncs it, renames it over the old one and syncs the folder.
//! Whoever reads the name sees the old bytes or the new ones; when `replace` has returned, the new ones survive a
//! loss of power. A process that dies in the middle leaves a file named `.<name>.<random>.tmp`, which nothing
//! reads, and which [`sweep`] removes.
//!
//! # Locking
//! See [`Lock`].

mod lock;

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

pub use lock::{Lock, LockTrust, lock, lock_found, lock_shared, lock_shared_found, lock_trust};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

/// What is odd about a pipe, a device or a folder.
const NO_FILE: &str = "it is no regular file";

/// How old a temporary file must be whose writer is taken for dead. Whoever writes one is done with it in moments.
const ABANDONED: Duration = Duration::from_secs(600);

/// A failure, with the path.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system said no; its message names the path.
    Io(io::Error),
    /// What lies at the path was not made by us.
    NotOurs {
        /// The path.
        path: PathBuf,
        /// What is odd about it.
        reason: &'static str,
    },
    /// The file is longer than its reader takes.
    TooLarge {
        /// The path.
        path: PathBuf,
        /// How many bytes the reader takes.
        limit_bytes: u64,
    },
    /// Somebody else holds the lock.
    Busy {
        /// The file that is locked.
        path: PathBuf,
    },
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotOurs { path, reason } => write!(f, "refusing to use `{}`: {reason}", path.display()),
            Self::TooLarge { path, limit_bytes } => {
                write!(f, "`{}` is larger than {limit_bytes} bytes", path.display())
            }
            Self::Busy { path } => write!(f, "`{}` is locked by another process", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is ours already.
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => Self::other(other.to_string()),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes `path` a file of these bytes, atomically and durably. Missing folders are created.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, a device, or whatever else at `path` is no regular file; [`Error::Io`]. Then whatever
/// was there before is still there, and no temporary file is left.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    match fs_err::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(Error::NotOurs { path: path.to_owned(), reason: NO_FILE });
        }
        _ => {}
    }
    create_folders(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut temporary = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".tmp")
        // Like any new file: the umask decides who may read it.
        .permissions(PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|error| at(path, "write", &root_cause(&error)))?;
    let failed = |error: io::Error| at(path, "write", &error);
    temporary.as_file_mut().write_all(bytes).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder)
}

/// Removes what processes left beside a file that died while they replaced it. A file that was made within the last ten
/// minutes, by the clock of the file system, may be of a live one, and stays. What cannot be removed stays too.
pub fn sweep(path: &Path) {
    let modified = |path: &Path| fs_err::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(now) = modified(path) else { return };
    let prefix = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let is_of = |name: &str| {
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".tmp"));
        random.is_some_and(|random| !random.is_empty() && !random.contains('.'))
    };
    for entry in fs_err::read_dir(folder_of(path)).into_iter().flatten().flatten() {
        let is_old = || modified(&entry.path()).and_then(|at| now.duration_since(at).ok());
        if is_of(&entry.file_name().to_string_lossy()) && is_old().is_some_and(|age| age >= ABANDONED) {
            let _ = fs_err::remove_file(entry.path());
        }
    }
}

/// Reads a file of at most `limit` bytes that is itself no symlink. `None` where there is no such file.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for what is no file, and for a file over the limit; [`Error::Io`].
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path, OFlags::RDONLY)? else { return Ok(None) };
    read_to_limit(file, path, limit, "it is larger than anything we write")
}

/// Reads a file of at most `limit` bytes that another program wrote, as whichever user. `None` where there is no such file.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for what is no file, and for a file over the limit; [`Error::Io`].
pub fn read_foreign(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some((file, _)) = open_regular(path, OFlags::RDONLY)? else { return Ok(None) };
    read_to_limit(file, path, limit, "it is too large")
}

fn read_to_limit(file: File, path: &Path, limit: u64, reason: &'static str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| at(path, "read", &error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::NotOurs { path: path.to_owned(), reason });
    }
    Ok(Some(bytes))
}

/// Reads a regular file of at most `limit` bytes that a user names: whoever's it is, and through symlinks.
///
/// # Errors
/// [`Error::NotOurs`] for a pipe, a device or a folder, and for a file over the limit; [`Error::Io`], also where there is no
/// such file.
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let refused = |reason| Error::NotOurs { path: path.to_owned(), reason };
    // Without `NONBLOCK`, opening a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NXIO) => return Err(refused(NO_FILE)),
        Err(error) => return Err(Error::Io(error.into())),
    };
    if !file.metadata()?.is_file() {
        return Err(refused(NO_FILE));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit_bytes: limit });
    }
    Ok(bytes)
}

/// Opens a file for reading and writing, which is created empty where it is missing.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink, for what is no file, and for another user's; [`Error::Io`].
pub fn open_own(path: &Path) -> Result<File> {
    create(path, OFlags::RDWR)
}

/// Appends one line to a file, in one write. A line that a dying process left unfinished is ended first.
///
/// It is not synced: `sync` says whether it must be.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink and for what is no file; [`Error::Io`].
pub fn append_line(path: &Path, line: &str, sync: bool) -> Result<()> {
    let mut file = create(path, OFlags::RDWR | OFlags::APPEND)?;
    let failed = |error: io::Error| at(path, "append to", &error);
    let mut text = String::with_capacity(line.len() + 2);
    if file.seek(SeekFrom::End(0)).map_err(failed)? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(failed)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(line);
    text.push('\n');
    file.write_all(text.as_bytes()).map_err(failed)?;
    if sync {
        file.sync_data().map_err(failed)?;
    }
    Ok(())
}

/// Makes sure that lines can be appended to a file, which is created where it is missing.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink and for what is no file; [`Error::Io`].
pub fn check_appendable(path: &Path) -> Result<()> {
    create(path, OFlags::WRONLY | OFlags::APPEND).map(drop)
}

/// Sets a file's times to now, and creates it empty where it is missing.
///
/// # Errors
/// [`Error::NotOurs`] for a symlink and for what is no file; [`Error::Io`].
pub fn touch(path: &Path) -> Result<()> {
    let file = create(path, OFlags::WRONLY)?;
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    rustix::fs::futimens(&file, &times).map_err(|error| at(path, "touch", &error.into()))?;
    Ok(())
}

/// Removes a file and makes that durable.
///
/// # Errors
/// [`Error::Io`].
pub fn remove(path: &Path) -> Result<()> {
    fs_err::remove_file(path)?;
    sync_folder(folder_of(path))
}

/// Moves a file to another name on the same file system and makes that durable.
///
/// # Errors
/// [`Error::Io`].
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs_err::rename(from, to)?;
    sync_folder(folder_of(to))?;
    if folder_of(from) != folder_of(to) {
        sync_folder(folder_of(from))?;
    }
    Ok(())
}

/// Creates a folder and those above it where they are missing, durably.
///
/// # Errors
/// [`Error::Io`].
pub fn create_folders(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    create_folders(above)?;
    match fs_err::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => sync_folder(above),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs_err::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Names the boot that the machine is in: what was not synced is of one boot alone. Empty where the system gives no name.
pub fn boot_id() -> &'static str {
    // No process lives in two boots.
    static ID: LazyLock<String> = LazyLock::new(|| {
        let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    });
    &ID
}

/// Whether what belongs to a user may be believed: our own, and the administrator's.
pub fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Opens a regular file of ours that is itself no symlink. `None` where there is none.
fn open(path: &Path, flags: OFlags) -> Result<Option<File>> {
    match open_regular(path, flags)? {
        Some((_, metadata)) if !is_trusted(metadata.uid()) => {
            Err(Error::NotOurs { path: path.to_owned(), reason: "it belongs to another user" })
        }
        opened => Ok(opened.map(|(file, _)| file)),
    }
}

/// Opens a regular file that is itself no symlink, whoever owns it. `None` where there is none.
fn open_regular(path: &Path, flags: OFlags) -> Result<Option<(File, Metadata)>> {
    // Without `NONBLOCK`, opening a planted pipe would wait for ever.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => return Err(Error::NotOurs { path: path.to_owned(), reason: "it is a symlink" }),
        Err(Errno::NXIO | Errno::ISDIR) => {
            return Err(Error::NotOurs { path: path.to_owned(), reason: NO_FILE });
        }
        Err(error) => return Err(at(path, "open", &error.into())),
    };
    let metadata = file.metadata().map_err(|error| at(path, "stat", &error))?;
    if !metadata.is_file() {
        return Err(Error::NotOurs { path: path.to_owned(), reason: NO_FILE });
    }
    Ok(Some((file, metadata)))
}

fn create(path: &Path, flags: OFlags) -> Result<File> {
    match open(path, flags | OFlags::CREATE)? {
        Some(file) => Ok(file),
        None => Err(at(path, "create", &io::ErrorKind::NotFound.into())),
    }
}

fn at(path: &Path, verb: &str, error: &io::Error) -> Error {
    // That too many files are open is no matter of the path, and only its number says it: it has no kind.
    if let Some(error) = Errno::from_io_error(error).filter(|&no| no == Errno::MFILE || no == Errno::NFILE) {
        return Error::Io(error.into());
    }
    Error::Io(io::Error::new(error.kind(), format!("failed to {verb} `{}`: {error}", path.display())))
}

/// What the system said, without the name of a temporary file that nobody knows.
fn root_cause(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

#[cfg(test)]
mod tests;
