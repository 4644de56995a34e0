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
    let among = |paths: Vec<PathBuf>| {
        let mut open = OpenPaths::new(fix);
        for path in &paths {
            open.look(path);
        }
        open
    };
    let mut of_store = OpenPaths::new(fix);
    of_store.look_below(store);
    let groups = [among(of_the_root), among(of_catalog), of_store];
    groups.into_iter().filter_map(OpenPaths::finding).collect()
}

/// Counts the paths of a group that every user may write to. A store has several for each model, so it keeps one of them.
struct OpenPaths {
    fix: bool,
    count: usize,
    /// The path that the finding names, the one with the fewest folders above it, and its mode.
    first: Option<(PathBuf, u32)>,
    /// The first error of a repair. The paths after it stay as they are.
    failed: Option<io::Error>,
}

impl OpenPaths {
    fn new(fix: bool) -> Self {
        Self { fix, count: 0, first: None, failed: None }
    }

    /// Looks at a path, and removes other users' permission to write to it where that is asked for.
    fn look(&mut self, path: &Path) {
        let Some(mode) = mode(path).filter(|mode| mode & OTHERS_WRITE != 0) else { return };
        self.count += 1;
        if self.fix && self.failed.is_none() {
            self.failed = close_to_others(path).err();
        }
        let depth = |path: &Path| path.components().count();
        if self.first.as_ref().is_none_or(|(first, _)| depth(path) < depth(first)) {
            self.first = Some((path.to_owned(), mode));
        }
    }

    /// Looks at a folder, all folders below it, and the files in them whose content the store believes.
    fn look_below(&mut self, folder: &Path) {
        self.look(folder);
        for path in paths(folder) {
            if is_folder(&path) {
                self.look_below(&path);
            } else if is_believed(&path) {
                self.look(&path);
            }
        }
    }

    fn finding(self) -> Option<HealthFinding> {
        let (first, mode) = self.first?;
        let others = if self.count > 1 {
            format!(", and so may {} more in it", self.count - 1)
        } else {
            String::new()
        };
        let problem = format!("`{}` may be written by every user (mode {mode:04o}){others}", first.display());
        let closed = match self.failed {
            Some(error) => Err(error.to_string()),
            None => Ok(self.fix.then(|| "only its owner and its group may write it now".to_owned())),
        };
        Some(HealthFinding::new(problem, FIX).after(closed))
    }
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

fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns whether the store believes the content of a file. The bytes of models have modes of their own.
fn is_believed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "stamp") || path.ends_with(".model.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a file or a folder with that mode.
    fn make(path: &Path, mode: u32) {
        if path.extension().is_some() {
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "x").unwrap();
        } else {
            fs_err::create_dir_all(path).unwrap();
        }
        fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_the_store_believes_is_found_and_closed_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let open = ["blobs/aa/b.stamp", "models/hf/org/repo/.model.json", "models/hf"];
        let others = ["blobs/aa/b.bytes", "models/hf/org/repo/model.json"];
        for name in open.iter().chain(&others) {
            make(&store.join(name), 0o666 | if name.contains('.') { 0 } else { 0o111 });
        }
        std::os::unix::fs::symlink(store.join(others[0]), store.join("link.stamp")).unwrap();
        let look = |fix| {
            let mut found = OpenPaths::new(fix);
            found.look_below(&store);
            found.finding().map(|finding| finding.problem)
        };
        let named = store.join("models/hf");
        let problem = format!(
            "`{}` may be written by every user (mode 0777), and so may 2 more in it",
            named.display()
        );
        assert_eq!(look(false), Some(problem.clone()));
        assert_eq!(look(true), Some(problem));
        assert_eq!(look(false), None);
        let is_open = |name: &&str| mode(&store.join(name)).unwrap() & OTHERS_WRITE != 0;
        assert!(!open.iter().any(is_open) && others.iter().all(is_open), "bytes keep their modes");
    }

    #[test]
    fn the_path_with_the_fewest_folders_above_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a/b/c", "a/b", "z", "a"].map(|name| dir.path().join(name));
        for path in &paths {
            make(path, 0o777);
        }
        let named = |order: [usize; 4]| {
            let mut found = OpenPaths::new(false);
            for path in order {
                found.look(&paths[path]);
            }
            found.finding().unwrap().problem
        };
        let says = |path: &Path| format!("`{}` may be written by every user", path.display());
        assert!(named([0, 1, 2, 3]).starts_with(&says(&paths[2])), "the first of two at one depth");
        assert!(named([3, 2, 1, 0]).starts_with(&says(&paths[3])));
    }
}
