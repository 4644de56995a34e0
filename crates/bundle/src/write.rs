//! Writes a bundle.

use std::{
    fs::File,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use file_hashing::{Contents, Watch};
use provisioner_core::{CatalogRecord, RECORD_SCHEMA, Stamp};

use crate::{
    aside::Aside,
    error::{Error, Result},
    format::{RECORD, RecordFile, SUMS, sums_line},
};

/// Copies a model's files into a folder, which must be absent or empty, with the record and the digests. Returns the record
/// as the bundle has it. It hashes each copy, which must have its recorded digest.
///
/// # Errors
/// [`Error::Differs`], [`Error::Changed`], [`Error::InTheWay`], [`Error::Cancelled`], and the failures of the disk. Then the
/// folder is what it was. After [`Error::NotDurable`] the whole bundle is there.
pub fn write(record: &CatalogRecord, dir: &Path, watch: &mut Watch<'_>) -> Result<CatalogRecord> {
    if !is_free(dir)? || record.files.iter().any(|file| file.path.as_str() == SUMS) {
        return Err(Error::InTheWay { path: dir.to_owned() });
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable_fs::create_folders(parent)?;
    let aside = Aside::new(parent)?;
    let mut folders = vec![aside.path().to_owned()];
    let (mut record, root) = portable(record);
    let mut sums = String::new();
    for file in Arc::make_mut(&mut record.files) {
        let copy = aside.path().join(&file.path);
        for above in copy.ancestors().skip(1).take_while(|above| above.starts_with(aside.path())) {
            folders.push(above.to_owned());
        }
        let found = copy_out(&root.join(&file.path), &copy, watch);
        let found = found.map_err(|error| error.of_file(&file.path, dir))?;
        if let Some(expected) = file.sha256.clone().filter(|expected| *expected != found.sha256) {
            return Err(Error::Differs { path: file.path.clone(), expected, actual: found.sha256 });
        }
        sums.push_str(&sums_line(&found.sha256, &file.path));
        (file.stamp, file.sha256) = (of_size(found.after.size), Some(found.sha256));
    }
    let put = |name, bytes: &[u8]| {
        let put = durable_fs::replace(&aside.path().join(name), bytes);
        put.map_err(|error| Error::from(error).of_file(name, dir))
    };
    put(SUMS, sums.as_bytes())?;
    let file = RecordFile { schema_version: RECORD_SCHEMA, record };
    put(RECORD, &serde_json::to_vec_pretty(&file).map_err(io::Error::from)?)?;
    folders.sort_unstable();
    folders.dedup();
    folders.iter().try_for_each(|folder| durable_fs::sync_folder(folder))?;
    fs_err::set_permissions(aside.path(), PermissionsExt::from_mode(0o755))?;
    aside.rename_to(dir)?;
    let not_durable =
        |error: durable_fs::Error| Error::NotDurable { path: dir.to_owned(), source: error.into() };
    durable_fs::sync_folder(parent).map_err(not_durable)?;
    Ok(file.record)
}

/// Returns whether a path is free, or an empty folder.
fn is_free(dir: &Path) -> Result<bool> {
    match fs_err::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns a record without what holds on this machine alone, and the folder of its files.
fn portable(record: &CatalogRecord) -> (CatalogRecord, PathBuf) {
    let mut portable = record.clone();
    portable.local_path = record.entry.as_ref().map_or(PathBuf::from("."), |entry| entry.as_ref().to_owned());
    for file in Arc::make_mut(&mut portable.files) {
        file.settled = false;
    }
    (portable, record.root().to_owned())
}

fn of_size(size: u64) -> Stamp {
    Stamp { size, mtime_ns: 0, ctime_ns: None, dev: 0, inode: 0 }
}

/// Copies a file, and hashes the copy. It creates the folders of the copy.
fn copy_out(from: &Path, to: &Path, watch: &mut Watch<'_>) -> Result<Contents> {
    fs_err::create_dir_all(to.parent().unwrap_or(to))?;
    // A person named a local model, and the name may be a symlink.
    let from = fs_err::canonicalize(from)?;
    let changed = || Error::Changed { path: from.clone() };
    let mut source = file_hashing::open(&from)?.ok_or_else(changed)?;
    let mut copy = File::options().create_new(true).read(true).write(true).open(to)?;
    let found = if durable_fs::share_blocks(&copy, &source) {
        file_hashing::read(&mut copy, false, None, watch)?
    } else {
        file_hashing::read(&mut source, false, Some(&mut copy), watch)?
    };
    // A link that another process made or removed meanwhile does not matter: the copied bytes are the hashed ones.
    if found.before.without_ctime() != found.after.without_ctime() {
        return Err(changed());
    }
    copy.sync_all()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use provisioner_core::{Digest, RelativePath};

    use super::*;
    use crate::read::Bundle;

    /// Makes the record of a model of one file, in a folder.
    fn record(root: &Path) -> CatalogRecord {
        fs_err::write(root.join("a.gguf"), "bytes").unwrap();
        let (now, verification) =
            ("1970-01-01T00:00:00Z", serde_json::json!({ "outcome": "pass", "reason": "" }));
        let json = serde_json::json!({
            "schema_version": 1, "id": "hf:org/repo", "local_path": root.join("a.gguf"), "entry": "a.gguf",
            "lifecycle": "Active", "verification": verification, "created_at": now, "updated_at": now,
            "size_bytes": 5, "format": "gguf",
            "files": [{ "path": "a.gguf", "format": "gguf", "stamp": of_size(5), "settled": true }],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_a_changed_table_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let record = record(dir.path());
        let out = dir.path().join("out");
        let written = write(&record, &out, &mut |_| true).unwrap();
        assert_eq!(written.local_path, Path::new("a.gguf"));
        let bundle = Bundle::open(&out).unwrap().unwrap();
        assert_eq!(bundle.record(), &written);
        let files = bundle.files().unwrap();
        assert_eq!((files.len(), files[0].size_bytes, &files[0].sha256), (1, 5, &written.files[0].sha256));
        assert!(bundle.names(&RelativePath::new(SUMS).unwrap()));
        assert!(matches!(write(&record, &out, &mut |_| true), Err(Error::InTheWay { .. })));
        fs_err::write(out.join(SUMS), sums_line(&Digest::sha256([7; 32]), &files[0].path)).unwrap();
        assert!(matches!(Bundle::open(&out), Err(Error::Differs { .. })));
        assert!(Bundle::open(dir.path()).unwrap().is_none(), "a folder without a record is no bundle");
    }

    #[test]
    fn a_file_that_the_disk_refuses_is_named_with_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (record, out) = (record(dir.path()), dir.path().join("out"));
        fs_err::remove_file(dir.path().join("a.gguf")).unwrap();
        let refused = write(&record, &out, &mut |_| true).unwrap_err();
        assert_eq!(refused.to_string(), format!("cannot put `a.gguf` into `{}`", out.display()));
        assert!(!out.exists());
    }
}
