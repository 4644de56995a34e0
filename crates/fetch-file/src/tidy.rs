//! `..` in paths.

use std::path::{Component, Path, PathBuf};

use provisioner_core::{Result, reference::LocalRef};

/// The reference with each `..` removed that follows a real folder. One that follows a symlink stays, for there
/// `a/..` is not where `a` is. The last component is never resolved, so a symlink keeps its own name.
///
/// Looks at the disk where the path has a `..`, and only there; it may block.
///
/// # Errors
/// None in practice: what was a reference stays one.
pub fn tidy(reference: &LocalRef) -> Result<LocalRef> {
    let path = reference.path();
    if !path.components().any(|component| component == Component::ParentDir) {
        return Ok(reference.clone());
    }
    let mut tidy = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir && is_real_folder(&tidy) {
            tidy.pop();
        } else {
            tidy.push(component);
        }
    }
    LocalRef::new(&tidy, None)
}

fn is_real_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_real_folders_are_folded() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs_err::create_dir_all(root.join("real/deep")).unwrap();
        symlink(root.join("real/deep"), root.join("link")).unwrap();
        let check = |path: &str, expected: &str| {
            let reference = LocalRef::new(&root.join(path), None).unwrap();
            assert_eq!(tidy(&reference).unwrap().path(), root.join(expected), "{path}");
        };
        check("real/deep/../x.gguf", "real/x.gguf");
        check("real/deep/../../x.gguf", "x.gguf");
        check("link/../x.gguf", "link/../x.gguf");
        check("absent/../x.gguf", "absent/../x.gguf");
        check("link", "link");
    }
}
