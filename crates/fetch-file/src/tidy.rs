//! Asks the disk for what a reference's text does not tell.

use std::path::{Component, Path, PathBuf};

use provisioner_core::{
    ModelRef, Result,
    reference::{LocalRef, may_be_path},
};

/// Reads a reference as [`ModelRef::parse`] does. A text without a scheme that names the Hub's host, such as `hf.co/org/repo`,
/// is a path where something lies there.
///
/// It looks at the disk only for such a text, and blocks.
///
/// # Errors
/// As [`ModelRef::parse`].
pub fn parse(text: &str, base: Option<&Path>) -> Result<ModelRef> {
    let is_path =
        may_be_path(text) && base.is_some_and(|base| fs_err::symlink_metadata(base.join(text)).is_ok());
    if is_path {
        Ok(ModelRef::Local(LocalRef::new(Path::new(text), base)?))
    } else {
        ModelRef::parse(text, base)
    }
}

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
    fn a_path_with_the_name_of_the_hub_is_a_path_where_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        let id = |text: &str| parse(text, Some(dir.path())).unwrap().id();
        assert_eq!(id("hf.co/org/repo:Q8_0"), "hf:org/repo:Q8_0");
        fs_err::create_dir_all(dir.path().join("hf.co/org/repo")).unwrap();
        assert_eq!(id("hf.co/org/repo:Q8_0"), "hf:org/repo:Q8_0", "only the whole text is the path");
        assert_eq!(id("hf.co/org/repo"), format!("local:{}/hf.co/org/repo", dir.path().display()));
        assert_eq!(id("hf:org/repo"), "hf:org/repo");
        assert_eq!(parse("hf.co/org/repo", None).unwrap().id(), "hf:org/repo");
    }

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
