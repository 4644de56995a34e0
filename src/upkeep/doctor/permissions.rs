//! Finds the folders and files of the cache that other users may write to.

use std::{
    fs::File,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use super::{
    finding::{FIX, HealthFinding},
    folder::paths,
};
use crate::context::Context;

/// The permission with which every user of the machine can plant records and models.
const OTHERS_WRITE: u32 = 0o002;

/// Returns the folders and files that every user of the machine may write to: the cache, those of its catalog,
/// `of_catalog`, and those of its store whose content the store believes. Removes that permission where `fix` says so.
pub(super) fn findings(ctx: &Context, of_catalog: Vec<PathBuf>, fix: bool) -> Vec<HealthFinding> {
    let (root, store) = (ctx.cache.root(), ctx.store.root());
    let log = ctx.cache.provenance();
    let mut of_the_root = vec![root.to_owned(), log.path(), log.lock_path()];
    of_the_root.extend(log.earlier_files().unwrap_or_default());
    let groups = [of_the_root, of_catalog, believed_below(store)];
    groups.into_iter().filter_map(|paths| open_among(paths, fix)).collect()
}

fn open_among(paths: Vec<PathBuf>, fix: bool) -> Option<HealthFinding> {
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
    Some(HealthFinding::new(problem, FIX).after(closed.map_err(|error: io::Error| error.to_string())))
}

/// Removes other users' permission to write to a file or a folder. It works on a descriptor, for another user may give
/// the name to another file meanwhile.
fn close_to_others(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    file.set_permissions(PermissionsExt::from_mode(mode & !OTHERS_WRITE))
}

/// Returns the mode of a file or a folder; `None` for a symlink, and for a path where there is no file.
fn mode(path: &Path) -> Option<u32> {
    let metadata = fs_err::symlink_metadata(path).ok().filter(|metadata| !metadata.is_symlink())?;
    Some(metadata.permissions().mode() & 0o7777)
}

/// Returns a folder, all folders below it, and the files in them whose content the store believes.
fn believed_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut at) = (vec![folder.to_owned()], 0);
    while let Some(next) = found.get(at).cloned() {
        let of_ours = paths(&next).into_iter().filter(|path| is_folder(path) || is_believed(path));
        found.extend(of_ours);
        at += 1;
    }
    found
}

fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns whether the store believes the content of a file. The bytes of models have modes of their own.
fn is_believed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "stamp") || path.ends_with(".model.json")
}
