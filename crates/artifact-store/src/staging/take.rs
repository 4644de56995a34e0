//! Takes a file that a program downloaded out of the scratch folder of its partial.
//!
//! # Trust
//! A program of a source wrote the folder, and may have written anything: links, devices, folders in the place of files. So the store
//! walks to a file by its listed name, one component at a time, and follows no symlink. It takes a regular file of this user with
//! no other name, and renames it, so that no path leads to it from the scratch folder any more.

use std::{os::fd::OwnedFd, path::Path};

use file_hashing::{Watch, open, read};
use provisioner_core::{RelativePath, Stamp};
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, renameat, statat},
    io::Errno,
};

use crate::{
    error::Result,
    files::unlink,
    layout::Store,
    staging::{
        adopt::{AdoptedFile, AdoptionTarget},
        partial_file::PartialFile,
    },
};

/// Says what lay in a scratch folder in the place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenFile {
    /// The file lies in its own partial now, hashed. The caller compares its digest.
    File(Box<AdoptedFile>),
    /// The folder has nothing of that name.
    Missing,
    /// The store does not take what lay there, for this reason.
    Refused(String),
}

impl Store {
    /// Takes a file of a target's size from its path below a scratch folder into the paths of a partial, and hashes it. The digest of
    /// the target says which hashes the caller needs. `watch` receives how many more bytes the store has read, and returns whether to
    /// go on.
    ///
    /// # Errors
    /// The failures of the store's own disk; [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn take(
        &self,
        to: &PartialFile,
        target: &AdoptionTarget,
        scratch: &Path,
        path: &RelativePath,
        watch: &mut Watch<'_>,
    ) -> Result<TakenFile> {
        let folder = match open_folder(scratch, path) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(TakenFile::Missing),
            Err(Errno::LOOP | Errno::NOTDIR) => return Ok(refused("one of its folders is not a folder")),
            Err(error) => return Err(std::io::Error::from(error).into()),
        };
        let name = path.file_name();
        match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(TakenFile::Missing),
            Err(error) => return Err(std::io::Error::from(error).into()),
            Ok(found) => {
                if let Some(reason) = refusal(&found, target.size_bytes) {
                    return Ok(refused(&reason));
                }
            }
        }
        unlink(&to.data)?;
        renameat(&folder, name, CWD, &to.data).map_err(std::io::Error::from)?;
        let Some(mut file) = open(&to.data)? else { return Ok(refused("it is not a regular file")) };
        let found = read(&mut file, target.needs_git_id(), None, watch)?;
        let stamp = Stamp::of(&file.metadata()?);
        if found.before.without_ctime() != stamp.without_ctime() || stamp.size != target.size_bytes {
            return Ok(refused("another process still writes to it"));
        }
        Ok(TakenFile::File(Box::new(AdoptedFile {
            location: to.data.clone(),
            from: scratch.join(path),
            not_linked: None,
            is_externally_linked: false,
            stamp,
            sha256: found.sha256,
            git_sha1: found.git_sha1,
        })))
    }
}

/// Opens the folder of a file below a scratch folder. No component is a symlink.
fn open_folder(scratch: &Path, path: &RelativePath) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = openat(CWD, scratch, flags, Mode::empty())?;
    let parts: Vec<_> = path.as_str().split('/').collect();
    for part in &parts[..parts.len() - 1] {
        folder = openat(&folder, *part, flags, Mode::empty())?;
    }
    Ok(folder)
}

/// Returns why the store does not take a file; `None` where it does.
fn refusal(found: &Stat, size_bytes: u64) -> Option<String> {
    let size = u64::try_from(found.st_size).unwrap_or(0);
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile if found.st_nlink != 1 => Some("it has other names too".to_owned()),
        FileType::RegularFile if found.st_uid != rustix::process::geteuid().as_raw() => {
            Some("it belongs to another user".to_owned())
        }
        FileType::RegularFile if size != size_bytes => {
            Some(format!("it has {size} bytes, and {size_bytes} are listed"))
        }
        FileType::RegularFile => None,
        FileType::Symlink => Some("it is a symlink".to_owned()),
        FileType::Directory => Some("it is a folder".to_owned()),
        _ => Some("it is not a regular file".to_owned()),
    }
}

fn refused(reason: &str) -> TakenFile {
    TakenFile::Refused(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const BYTES: &[u8] = b"GGUF and more";

    fn path(name: &str) -> RelativePath {
        RelativePath::new(name).unwrap()
    }

    /// Takes a file of a scratch folder that `make` fills, and returns what the store made of it.
    fn taken(name: &str, make: impl Fn(&Path)) -> TakenFile {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store"));
        let left = store.resumable().unwrap();
        let scratch = store.partial_of_scratch("model", &left).unwrap();
        make(&scratch.scratch());
        let to = store.partial("x", 0, "model", &left).unwrap();
        let target = AdoptionTarget { size_bytes: BYTES.len() as u64, digest: None };
        let taken = store.take(&to.file(), &target, &scratch.scratch(), &path(name), &mut |_| true).unwrap();
        if let TakenFile::File(file) = &taken {
            assert_eq!(fs_err::read(&file.location).unwrap(), BYTES);
            assert!(!scratch.scratch().join(name).exists());
        }
        taken
    }

    #[test]
    fn a_plain_file_is_taken_and_hashed() {
        let found = taken("sub/x.gguf", |scratch| {
            fs_err::create_dir(scratch.join("sub")).unwrap();
            fs_err::write(scratch.join("sub/x.gguf"), BYTES).unwrap();
        });
        let TakenFile::File(found) = found else { panic!("{found:?}") };
        let mut hasher = provisioner_core::ContentHasher::new();
        hasher.update(BYTES);
        let expected = hasher.finish().sha256;
        assert_eq!(found.stamp.size, BYTES.len() as u64);
        assert_eq!(found.sha256, expected);
    }

    #[test]
    fn links_folders_and_pipes_are_refused() {
        let outside = tempfile::tempdir().unwrap();
        let file = outside.path().join("x.gguf");
        fs_err::write(&file, BYTES).unwrap();
        let check = |name: &str, make: &dyn Fn(&Path), expected: &str| {
            assert_eq!(taken(name, make), refused(expected), "{name}");
            assert_eq!(fs_err::read(&file).unwrap(), BYTES, "the file outside stays");
        };
        check("x.gguf", &|scratch| symlink(&file, scratch.join("x.gguf")).unwrap(), "it is a symlink");
        check(
            "sub/x.gguf",
            &|scratch| symlink(outside.path(), scratch.join("sub")).unwrap(),
            "one of its folders is not a folder",
        );
        check(
            "x.gguf",
            &|scratch| fs_err::hard_link(&file, scratch.join("x.gguf")).unwrap(),
            "it has other names too",
        );
        check("x.gguf", &|scratch| fs_err::create_dir(scratch.join("x.gguf")).unwrap(), "it is a folder");
        let pipe = |scratch: &Path| {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(CWD, scratch.join("x.gguf"), FileType::Fifo, mode, 0).unwrap();
        };
        check("x.gguf", &pipe, "it is not a regular file");
        check(
            "x.gguf",
            &|scratch| fs_err::write(scratch.join("x.gguf"), "short").unwrap(),
            "it has 5 bytes, and 13 are listed",
        );
        assert_eq!(taken("x.gguf", |_| ()), TakenFile::Missing);
        assert_eq!(taken("sub/x.gguf", |_| ()), TakenFile::Missing);
    }

    #[test]
    fn a_dead_download_is_resumed_and_survives_a_sweep() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store"));
        let dead = store.partial_of_scratch("model", &store.resumable().unwrap()).unwrap();
        fs_err::write(dead.scratch().join("half"), vec![1; 4096]).unwrap();
        drop(dead);
        store.sweep().unwrap();
        let left = store.resumable().unwrap();
        assert!(left.scratch_of("model").1 >= 4096);
        assert_eq!(left.scratch_of("other"), (&[] as &[_], 0));
        let next = store.partial_of_scratch("model", &left).unwrap();
        assert_eq!(fs_err::read(next.scratch().join("half")).unwrap().len(), 4096);
    }
}
