//! Builds a view from links to blobs.

use std::{collections::BTreeSet, io, os::unix::fs::PermissionsExt, path::Path};

use provisioner_core::RelativePath;

use crate::{
    blobs::blob::Blob,
    error::{Error, Result},
};

/// Links the blobs into a folder, and syncs the folder.
pub(crate) fn build(folder: &Path, blobs: &[(&RelativePath, Blob)]) -> Result<()> {
    let mut is_told = false;
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for (path, blob) in blobs {
        let file = folder.join(path);
        let above = file.parent().unwrap_or(folder);
        if !folders.contains(above) {
            fs_err::create_dir_all(above)?;
            let new = above.ancestors().take_while(|above| above.starts_with(folder));
            folders.extend(new.map(Path::to_owned));
        }
        if let Err(error) = std::fs::hard_link(&blob.path, &file) {
            // Another file of this model has the same name to this file system: `A` and `a`, or one letter in two encodings.
            // A copy would write over that file, and through its link over the blob.
            if fs_err::symlink_metadata(&file).is_ok() {
                return Err(same_name(path));
            }
            // There are no links here, too many, or another device. The copy shares blocks where the file system can.
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(
                    "`{path}` cannot be linked into its view ({error}), and is copied; so may be others"
                );
            }
            copy(&blob.path, &file)?;
        }
    }
    folders.iter().try_for_each(|folder| durable_fs::sync_folder(folder))?;
    Ok(())
}

/// Copies a blob into a view.
fn copy(blob: &Path, to: &Path) -> Result<()> {
    fs_err::copy(blob, to)?;
    let file = fs_err::File::open(to)?;
    file.file().set_modified(fs_err::metadata(blob)?.modified()?)?;
    fs_err::set_permissions(to, PermissionsExt::from_mode(0o444))?;
    file.sync_all()?;
    Ok(())
}

/// Lets engines of any user read a view, whatever the umask.
pub(crate) fn open_to_readers(folder: &Path) -> Result<()> {
    Ok(fs_err::set_permissions(folder, PermissionsExt::from_mode(0o755))?)
}

fn same_name(path: &RelativePath) -> Error {
    let what = format!(
        "`{path}` has the name of another file of the model, to this file system: use one that tells letter case apart"
    );
    io::Error::new(io::ErrorKind::AlreadyExists, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, insert};

    #[test]
    fn two_files_of_one_name_are_refused() {
        let fixture = Fixture::new();
        let (one, other) = (insert(&fixture.store, b"one"), insert(&fixture.store, b"other"));
        let (path, folder) = (RelativePath::new("sub/a.json").unwrap(), fixture.dir.path().join("view"));
        fs_err::create_dir(&folder).unwrap();
        let Err(Error::Io(error)) = build(&folder, &[(&path, one.clone()), (&path, other)]) else { panic!() };
        assert!(error.to_string().contains("has the name of another file of the model"), "{error}");
        assert_eq!(fs_err::read(folder.join("sub/a.json")).unwrap(), b"one");
        assert_eq!(fs_err::read(&one.path).unwrap(), b"one");
    }
}
