//! Follows a symlink only as far as it stays below a folder.
//!
//! Another tool's cache is foreign text: a link in it may lead anywhere. [`resolve`] looks at each step without following it,
//! so the path that it returns has no symlink left below the folder at that time. The caller opens the file later without
//! following a symlink, and hashes it.

use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

/// The system's own limit on the links of one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Returns the path below `root` that `path` leads to, with all links resolved. Returns `None` for a path that leads out of
/// `root` at any step, or to nothing.
pub fn resolve(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut ahead = steps(path.strip_prefix(root).ok()?)?;
    let (mut inside, mut links): (Vec<OsString>, _) = (Vec::new(), 0);
    while let Some(step) = ahead.pop() {
        let Step::Down(name) = step else {
            inside.pop()?;
            continue;
        };
        inside.push(name);
        let here: PathBuf = [root.to_owned()].into_iter().chain(inside.iter().map(PathBuf::from)).collect();
        if fs_err::symlink_metadata(&here).ok()?.is_symlink() {
            links += 1;
            ahead.extend(steps(&fs_err::read_link(&here).ok().filter(|_| links <= MAX_LINKS)?)?);
            inside.pop();
        }
    }
    Some(inside.iter().fold(root.to_owned(), |path, name| path.join(name)))
}

/// Is one step of a path.
enum Step {
    Down(OsString),
    Up,
}

/// Returns the steps of a relative path, the last one first. Returns `None` for an absolute path.
fn steps(path: &Path) -> Option<Vec<Step>> {
    let steps = path.components().rev().filter(|step| *step != Component::CurDir).map(|step| match step {
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
        Component::ParentDir => Some(Step::Up),
        _ => None,
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_as_long_as_they_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs_err::create_dir_all(root.join("a/b")).unwrap();
        fs_err::create_dir_all(root.join("c")).unwrap();
        fs_err::write(root.join("c/file"), "").unwrap();
        fs_err::write(dir.path().join("outside"), "").unwrap();
        let link = |target: &str, at: &str| symlink(target, root.join(at)).unwrap();
        link("../../c/file", "a/b/file");
        link("b/file", "a/again");
        link("../c", "a/folder");
        link("../../../outside", "a/b/out");
        link("../../../root/c/file", "a/b/round");
        link(root.join("c/file").to_str().unwrap(), "a/absolute");
        link("missing", "a/broken");
        link("circle", "a/circle");
        let check = |path: &str, expected: Option<&str>| {
            let expected = expected.map(|path| root.join(path));
            assert_eq!(resolve(&root, &root.join(path)), expected, "{path}");
        };
        check("c/file", Some("c/file"));
        check("a/b/file", Some("c/file"));
        check("a/again", Some("c/file"));
        check("a/folder/file", Some("c/file"));
        check("a/../c/./file", Some("c/file"));
        for outside in
            ["a/b/out", "a/b/round", "a/absolute", "../outside", "a/broken", "a/circle", "c/file/x"]
        {
            check(outside, None);
        }
        assert_eq!(resolve(&root, &dir.path().join("outside")), None);
    }
}
