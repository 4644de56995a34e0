//! Names the files of a log, and finds those of earlier lines.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::error::Result;

/// The name of the file that grows.
pub(crate) const CURRENT: &str = "provenance.jsonl";

/// The name of the file that writers lock.
pub(crate) const LOCK: &str = "provenance.lock";

/// Names a file of earlier lines, and the numbers of the first and the last of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    first: u64,
    last: u64,
    pub(crate) path: PathBuf,
}

/// Returns the name of a file of earlier lines.
pub(crate) fn segment_name(first: u64, last: u64) -> String {
    format!("provenance-{first}-{last}.jsonl")
}

/// Returns whether a file of this name in the folder of a log is a part of the log.
pub fn is_file_name(name: &str) -> bool {
    name == CURRENT || name == LOCK || segment(Path::new(name)).is_some()
}

/// Returns the files of earlier lines in a folder, in the order of their lines.
pub(crate) fn segments(folder: &Path) -> Result<Vec<Segment>> {
    let paths = durable_fs::entries(folder)?;
    let mut found: Vec<_> = paths.into_iter().filter_map(|path| segment(&path)).collect();
    found.sort();
    Ok(found)
}

fn segment(path: &Path) -> Option<Segment> {
    let name = path.file_name()?.to_str()?;
    let numbers = name.strip_prefix("provenance-")?.strip_suffix(".jsonl")?;
    let (first, last) = numbers.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    // Another spelling of the same numbers is not a name that this crate gives.
    (segment_name(first, last) == name).then(|| Segment { first, last, path: path.to_owned() })
}

/// Returns the name of a file, for a line or a person.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Opens a file of the log for reading. Returns `None` where there is none.
pub(crate) fn open(path: &Path) -> Result<Option<File>> {
    Ok(durable_fs::open_found(path)?)
}
