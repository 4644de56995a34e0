//! Resolves `..` in the paths of references.

use std::path::{Component, Path, PathBuf};

use provisioner_core::{Result, reference::LocalRef};

/// Returns the reference without each `..` that follows a real folder. A `..` that follows a symlink stays, for there
/// `a/..` is not where `a` is. The last component stays as it is, so a symlink keeps its own name.
///
/// It looks at the disk only where the path has a `..`, and blocks.
///
/// # Errors
/// None in practice: a reference without a `..` is still a reference.
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
