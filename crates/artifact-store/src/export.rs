//! A model as a folder that stands for itself: to be carried to a machine without network.
//!
//! ```text
//! <dir>/
//!   a.gguf, sub/b.json, …    the model's files, under their names
//!   SHA256SUMS               what `sha256sum -c` reads
//!   .model.json              the catalog's record, sealed as in a view
//! ```
//!
//! It is built aside (see the module `aside`) and renamed whole: a half of it is never taken for one. What it says of itself is a claim, and no
//! more trusted than whoever carried it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use provisioner_core::{CatalogRecord, Digest, DigestAlgorithm, RelativePath, Stamp, excerpt, readable_size};

use crate::{
    Error, Result,
    adopt::share_blocks,
    aside::Aside,
    reading::{self, Reading, Watch},
    view::{SEAL, SEAL_SCHEMA, Seal},
};

/// The table of digests in an exported folder. A file of a model cannot have its name there.
pub const SUMS: &str = "SHA256SUMS";

const MAX_BYTES: u64 = 64 << 20;

/// Copies a model's files into a folder, which must be absent or empty, with the record and the digests. Returns the record
/// as it is written there. What is copied is hashed; bytes that do not have their recorded digest are an error.
///
/// # Errors
/// [`Error::Differs`], [`Error::Changed`], [`Error::InTheWay`], [`Error::GivenUp`], and what the disk says. Then nothing is
/// at the folder's name but what was. After [`Error::NotDurable`] the whole folder is there.
pub fn export(record: &CatalogRecord, dir: &Path, watch: &mut Watch<'_>) -> Result<CatalogRecord> {
    if !is_free(dir)? || record.files.iter().any(|file| file.path.as_str() == SUMS) {
        return Err(Error::InTheWay { path: dir.to_owned() });
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable_fs::create_folders(parent)?;
    let aside = Aside::new(parent)?;
    let mut folders = vec![aside.path().to_owned()];
    let (mut record, root) = portable(record);
    let mut sums = String::new();
    for file in &mut record.files {
        let place = aside.path().join(&file.path);
        for above in place.ancestors().skip(1).take_while(|above| above.starts_with(aside.path())) {
            folders.push(above.to_owned());
        }
        fs_err::create_dir_all(place.parent().unwrap_or(&place))?;
        let found = copy_out(&root.join(&file.path), &place, watch)?;
        if let Some(expected) = file.sha256.clone().filter(|expected| *expected != found.sha256) {
            return Err(Error::Differs { path: file.path.clone(), expected, actual: found.sha256 });
        }
        let _ = writeln!(sums, "{}  {}", found.sha256.hex(), file.path);
        (file.stamp, file.sha256) = (of_size(found.after.size), Some(found.sha256));
    }
    durable_fs::replace(&aside.path().join(SUMS), sums.as_bytes())?;
    let seal = Seal { schema_version: SEAL_SCHEMA, record };
    let json = serde_json::to_vec_pretty(&seal).map_err(io::Error::from)?;
    durable_fs::replace(&aside.path().join(SEAL), &json)?;
    folders.sort_unstable();
    folders.dedup();
    folders.iter().try_for_each(|folder| durable_fs::sync_folder(folder))?;
    fs_err::set_permissions(aside.path(), PermissionsExt::from_mode(0o755))?;
    aside.put(dir)?;
    let not_durable =
        |error: durable_fs::Error| Error::NotDurable { path: dir.to_owned(), source: error.into() };
    durable_fs::sync_folder(parent).map_err(not_durable)?;
    Ok(seal.record)
}

/// Whether nothing is at a path, or an empty folder.
fn is_free(dir: &Path) -> Result<bool> {
    match fs_err::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A record without what is of this machine alone, and the folder that its files lie in.
fn portable(record: &CatalogRecord) -> (CatalogRecord, PathBuf) {
    let mut portable = record.clone();
    portable.local_path = record.entry.as_ref().map_or(PathBuf::from("."), |entry| entry.as_ref().to_owned());
    portable.files.iter_mut().for_each(|file| file.settled = false);
    (portable, record.root().to_owned())
}

fn of_size(size: u64) -> Stamp {
    Stamp { size, mtime_ns: 0, ctime_ns: None, dev: 0, inode: 0 }
}

fn copy_out(from: &Path, to: &Path, watch: &mut Watch<'_>) -> Result<Reading> {
    // A local model's name may be a symlink: it is the user's.
    let from = fs_err::canonicalize(from)?;
    let changed = || Error::Changed { path: from.clone() };
    let mut source = reading::open(&from)?.ok_or_else(changed)?;
    let mut copy = File::options().create_new(true).read(true).write(true).open(to)?;
    let found = if share_blocks(&copy, &source) {
        reading::read(&mut copy, false, None, watch)?
    } else {
        reading::read(&mut source, false, Some(&mut copy), watch)?
    };
    // A link that others made or took away meanwhile is no matter: what was copied is what was hashed.
    if found.before.without_ctime() != found.after.without_ctime() {
        return Err(changed());
    }
    copy.sync_all()?;
    Ok(found)
}

/// What a folder that was exported says of itself. `None` for a folder that was not.
///
/// Nothing of it is believed but that it is well formed: every path is safe, and the table of digests and the record agree.
///
/// # Errors
/// [`Error::InvalidExport`], [`Error::NewerExport`], [`Error::Differs`] where the two disagree, and what the disk says.
pub fn exported(dir: &Path) -> Result<Option<CatalogRecord>> {
    let Some(json) = read(&dir.join(SEAL))? else { return Ok(None) };
    let invalid = |reason: String| Error::InvalidExport { path: dir.to_owned(), reason };
    let version: serde_json::Value =
        serde_json::from_slice(&json).map_err(|error| invalid(no_seal(&error)))?;
    match version["schema_version"].as_u64() {
        Some(found) if found > SEAL_SCHEMA => {
            return Err(Error::NewerExport { path: dir.to_owned(), found, known: SEAL_SCHEMA });
        }
        Some(_) => {}
        None => return Err(invalid(format!("`{SEAL}` has no `schema_version`"))),
    }
    let seal: Seal = serde_json::from_value(version).map_err(|error| invalid(no_seal(&error)))?;
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, format!("`{}` is missing", dir.join(SUMS).display()));
    let sums = read(&dir.join(SUMS))?.ok_or_else(missing)?;
    let sums = String::from_utf8(sums).map_err(|_| invalid(format!("`{SUMS}` is not valid UTF-8")))?;
    let mut table = parse(&sums).map_err(|reason| invalid(format!("`{SUMS}`: {reason}")))?;
    for file in &seal.record.files {
        let (Some(actual), Some(expected)) = (&file.sha256, table.remove(file.path.as_str())) else {
            return Err(invalid(format!("there is no digest of `{}`", file.path)));
        };
        if *actual != expected {
            return Err(Error::Differs { path: file.path.clone(), expected, actual: actual.clone() });
        }
    }
    match table.into_keys().next() {
        Some(path) => Err(invalid(format!("`{SUMS}` names `{path}`, and `{SEAL}` does not"))),
        None => Ok(Some(seal.record)),
    }
}

/// Why a seal makes no sense. The parser quotes what it was given.
fn no_seal(error: &serde_json::Error) -> String {
    format!("`{SEAL}`: {}", excerpt(&error.to_string(), 200))
}

/// Reads a file, whoever's it is. `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(file) = reading::open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let reason = format!("`{}` is larger than {}", path.display(), readable_size(MAX_BYTES));
        return Err(Error::InvalidExport { path: path.parent().unwrap_or(path).to_owned(), reason });
    }
    Ok(Some(bytes))
}

/// Reads lines of `sha256sum`. Names that it would escape are none that a model can have.
fn parse(sums: &str) -> std::result::Result<BTreeMap<String, Digest>, String> {
    let mut table = BTreeMap::new();
    for line in sums.lines() {
        let strange = || format!("`{}` is no line of sha256sum", excerpt(line, 80));
        let (hex, name) = line.split_once(' ').ok_or_else(strange)?;
        let name = name.strip_prefix([' ', '*']).ok_or_else(strange)?;
        let digest = Digest::new(DigestAlgorithm::Sha256, hex).map_err(|error| error.to_string())?;
        let path = RelativePath::new(name).map_err(|error| error.to_string())?;
        if table.insert(path.to_string(), digest).is_some() {
            return Err(format!("`{name}` has two lines"));
        }
    }
    Ok(table)
}
