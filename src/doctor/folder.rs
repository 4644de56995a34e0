//! The cache's folder, and what lies in it beside models.

use std::path::{Path, PathBuf};

use artifact_store::eviction::UNFINISHED_LIMIT;
use provisioner_core::Timestamp;
use rustix::fs::{Access, access};

use super::{FIX, Finding};
use crate::provisioner::Parts;

/// Returns what is wrong with the cache's folder, and mends it where `fix` says so.
pub(super) fn findings(parts: &Parts, fix: bool) -> Vec<Finding> {
    let mut findings: Vec<_> = log(parts, fix).into_iter().collect();
    findings.extend(temporary_files(parts, fix));
    findings
}

/// What keeps lines from being appended to the provenance log, without which nothing is changed.
fn log(parts: &Parts, fix: bool) -> Option<Finding> {
    let path = parts.cache.provenance();
    // One that is not there is made, unless the whole cache cannot be written.
    let is_writable = access(parts.cache.root(), Access::WRITE_OK).is_ok();
    if !is_writable || fs_err::symlink_metadata(&path).is_err() {
        return None;
    }
    let error = durable_fs::check_appendable(&path).err()?;
    let is_ours = !matches!(error, durable_fs::Error::NotOurs { .. });
    let problem = format!("no line of provenance can be written, and so nothing can be changed: {error}");
    if is_ours {
        return Some(Finding::new(problem, "check its owner and mode"));
    }
    let set_aside = || {
        let aside = path.with_extension(format!("jsonl.aside.{}", parts.clock.now().as_microsecond()));
        durable_fs::rename(&path, &aside)?;
        Ok(Some(format!("set aside as `{}`", aside.display())))
    };
    let done = if fix { set_aside() } else { Ok(None) };
    let hint = "`doctor --fix` sets it aside, and a new log is begun";
    Some(Finding::new(problem, hint).after(done.map_err(|error: durable_fs::Error| error.to_string())))
}

/// What dying processes left of the catalog's files and of the log's.
fn temporary_files(parts: &Parts, fix: bool) -> Vec<Finding> {
    let root = parts.cache.root();
    let catalog = root.join("catalog-v1");
    let folders = [root.to_owned()].into_iter().chain(paths(&catalog));
    let mut findings = Vec::new();
    for path in folders.flat_map(|folder| paths(&folder)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') || !name.ends_with(".tmp") || !is_old(&path, parts.clock.now()) {
            continue;
        }
        let finding = Finding::new(format!("`{}` was never finished", path.display()), FIX);
        let removed =
            if fix { fs_err::remove_file(&path).map(|()| Some("removed".to_owned())) } else { Ok(None) };
        findings.push(finding.after(removed.map_err(|error| error.to_string())));
    }
    findings
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let read = fs_err::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    paths
}

fn is_old(path: &Path, now: Timestamp) -> bool {
    let modified = fs_err::symlink_metadata(path).ok().and_then(|metadata| metadata.modified().ok());
    let modified = modified.and_then(|modified| Timestamp::try_from(modified).ok());
    modified.is_some_and(|modified| {
        now.duration_since(modified).unsigned_abs() >= UNFINISHED_LIMIT && now > modified
    })
}
