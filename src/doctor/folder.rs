//! The cache's folder, and what lies in it beside models.

use std::{
    fs::File,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use artifact_store::eviction::UNFINISHED_LIMIT;
use provisioner_core::{Hint, Repair, Timestamp};
use rustix::fs::{Access, Mode, OFlags, access};

use super::{FIX, Finding};
use crate::provisioner::Parts;

/// Returns what is wrong with the cache's folder, and mends it where `fix` says so.
pub(super) fn findings(parts: &Parts, fix: bool) -> Vec<Finding> {
    let mut findings: Vec<_> = open_to_all(parts, fix).into_iter().chain(log(parts, fix)).collect();
    findings.extend(temporary_files(parts, fix));
    findings
}

/// The permission that lets every user of the machine plant records and models.
const OTHERS_WRITE: u32 = 0o002;

/// What every user of the machine may write: the cache, and folders and files in it that are believed.
fn open_to_all(parts: &Parts, fix: bool) -> Vec<Finding> {
    let (root, store) = (parts.cache.root(), parts.store.root());
    let of_the_root = vec![root.to_owned(), parts.cache.provenance()];
    let groups = [of_the_root, below(&root.join("catalog-v1"), &|_| true), below(store, &is_believed)];
    groups.into_iter().filter_map(|paths| open_among(paths, fix)).collect()
}

fn open_among(paths: Vec<PathBuf>, fix: bool) -> Option<Finding> {
    let open = paths
        .into_iter()
        .filter_map(|path| Some((mode(&path).filter(|mode| mode & OTHERS_WRITE != 0)?, path)));
    let open: Vec<_> = open.collect();
    let (mode, first) = open.first()?;
    let others =
        if open.len() > 1 { format!(", and so may {} more in it", open.len() - 1) } else { String::new() };
    let problem = format!("`{}` may be written by every user (mode {mode:04o}){others}", first.display());
    let close = || {
        open.iter().try_for_each(|(_, path)| close_to_others(path))?;
        Ok(Some("only its owner and its group may write it now".to_owned()))
    };
    let closed = if fix { close() } else { Ok(None) };
    Some(Finding::new(problem, FIX).after(closed.map_err(|error: io::Error| error.to_string())))
}

/// Takes from other users the right to write to a file or a folder, by its descriptor: one of them may give its name to another
/// file meanwhile.
fn close_to_others(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    file.set_permissions(PermissionsExt::from_mode(mode & !OTHERS_WRITE))
}

/// The mode of a file or a folder; `None` for a symlink, and for what is not there.
fn mode(path: &Path) -> Option<u32> {
    let metadata = fs_err::symlink_metadata(path).ok().filter(|metadata| !metadata.is_symlink())?;
    Some(metadata.permissions().mode() & 0o7777)
}

/// A folder with all folders below it, and with such files.
fn below(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let (mut found, mut at) = (vec![folder.to_owned()], 0);
    while let Some(next) = found.get(at).cloned() {
        let of_ours = paths(&next).into_iter().filter(|path| is_folder(path) || is_wanted(path));
        found.extend(of_ours);
        at += 1;
    }
    found
}

fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether what a file of the store says is believed. The bytes of models have modes of their own.
fn is_believed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "stamp") || path.ends_with(".model.json")
}

/// What keeps lines from being appended to the provenance log, without which nothing is changed.
fn log(parts: &Parts, fix: bool) -> Option<Finding> {
    let path = parts.cache.provenance();
    // One that is not there is made, unless the whole cache cannot be written.
    let is_writable = access(parts.cache.root(), Access::WRITE_OK).is_ok();
    if !is_writable || fs_err::symlink_metadata(&path).is_err() {
        return None;
    }
    let error = durable_fs::check_appendable(&path).err()?;
    let is_ours = !matches!(error, durable_fs::Error::NotOurs { .. });
    let problem = format!("no line of provenance can be written, and so nothing can be changed: {error}");
    if is_ours {
        return Some(Finding::new(problem, "check its owner and mode"));
    }
    let set_aside = || {
        let aside = path.with_extension(format!("jsonl.aside.{}", parts.clock.now().as_microsecond()));
        durable_fs::rename(&path, &aside)?;
        Ok(Some(format!("set aside as `{}`", aside.display())))
    };
    let done = if fix { set_aside() } else { Ok(None) };
    let hint = Hint::Repair(Repair::SetsLogAside);
    Some(Finding::new(problem, hint).after(done.map_err(|error: durable_fs::Error| error.to_string())))
}

/// What dying processes left of the catalog's files and of the log's.
fn temporary_files(parts: &Parts, fix: bool) -> Vec<Finding> {
    let root = parts.cache.root();
    let catalog = root.join("catalog-v1");
    let folders = [root.to_owned()].into_iter().chain(paths(&catalog));
    let mut findings = Vec::new();
    for path in folders.flat_map(|folder| paths(&folder)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') || !name.ends_with(".tmp") || !is_old(&path, parts.clock.now()) {
            continue;
        }
        let finding = Finding::new(format!("`{}` was never finished", path.display()), FIX);
        let removed =
            if fix { fs_err::remove_file(&path).map(|()| Some("removed".to_owned())) } else { Ok(None) };
        findings.push(finding.after(removed.map_err(|error| error.to_string())));
    }
    findings
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let read = fs_err::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    paths
}

pub(super) fn is_old(path: &Path, now: Timestamp) -> bool {
    let modified = fs_err::symlink_metadata(path).ok().and_then(|metadata| metadata.modified().ok());
    let modified = modified.and_then(|modified| Timestamp::try_from(modified).ok());
    modified.is_some_and(|modified| {
        now.duration_since(modified).unsigned_abs() >= UNFINISHED_LIMIT && now > modified
    })
}
