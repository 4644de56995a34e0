//! Checks the cache's folder, and the files in it that belong to no model.

use std::path::{Path, PathBuf};

use artifact_store::UNFINISHED_LIMIT;
use provisioner_core::{Hint, Repair, Timestamp};
use rustix::fs::{Access, access};

use super::finding::{FIX, HealthFinding};
use crate::context::Context;

/// Returns the problems of the provenance log, and the temporary files that dead processes left; `of_catalog` are those
/// of the catalog. Repairs them where `fix` says so.
pub(super) fn findings(ctx: &Context, of_catalog: Vec<PathBuf>, fix: bool) -> Vec<HealthFinding> {
    let mut findings: Vec<_> = log(ctx, fix).into_iter().collect();
    findings.extend(temporary_files(ctx, of_catalog, fix));
    findings
}

/// Returns the problem of a provenance log to which no process can append a line. Without a line, no process changes a
/// record.
fn log(ctx: &Context, fix: bool) -> Option<HealthFinding> {
    let log = ctx.cache.provenance();
    let is_writable = access(ctx.cache.root(), Access::WRITE_OK).is_ok();
    let faulty = |path: PathBuf| {
        // The next change creates a missing file, unless this process may not write to the cache at all.
        let is_there = is_writable && fs_err::symlink_metadata(&path).is_ok();
        let error = is_there.then(|| durable_fs::check_appendable(&path).err())??;
        Some((path, error))
    };
    let (path, error) = [log.path(), log.lock_path()].into_iter().find_map(faulty)?;
    let is_ours = !matches!(error, durable_fs::Error::NotOurs { .. });
    let problem = format!("no line of provenance can be written, and so nothing can be changed: {error}");
    if is_ours {
        return Some(HealthFinding::new(problem, "check its owner and mode"));
    }
    let set_aside = || {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{name}.aside.{}", ctx.clock.now().as_microsecond()));
        durable_fs::rename(&path, &aside)?;
        Ok(Some(format!("set aside as `{}`", aside.display())))
    };
    let done = if fix { set_aside() } else { Ok(None) };
    let hint = Hint::Repair(Repair::SetsLogAside);
    Some(HealthFinding::new(problem, hint).after(done.map_err(|error: durable_fs::Error| error.to_string())))
}

/// Returns the temporary files of the log and of the catalog that dead processes left.
fn temporary_files(ctx: &Context, of_catalog: Vec<PathBuf>, fix: bool) -> Vec<HealthFinding> {
    let mut findings = Vec::new();
    let of_root = paths(ctx.cache.root()).into_iter().filter(|path| durable_fs::is_temporary(path));
    for path in of_root.chain(of_catalog).filter(|path| is_old(path, ctx.clock.now())) {
        let finding = HealthFinding::new(format!("`{}` was never finished", path.display()), FIX);
        let removed =
            if fix { fs_err::remove_file(&path).map(|()| Some("removed".to_owned())) } else { Ok(None) };
        findings.push(finding.after(removed.map_err(|error| error.to_string())));
    }
    findings
}

/// Returns the paths in a folder, in order; none where the folder cannot be read.
pub(super) fn paths(folder: &Path) -> Vec<PathBuf> {
    durable_fs::entries(folder).unwrap_or_default()
}

/// Returns whether the last write to a file is older than the time for which the store keeps unfinished work.
pub(super) fn is_old(path: &Path, now: Timestamp) -> bool {
    let modified = fs_err::symlink_metadata(path).ok().and_then(|metadata| metadata.modified().ok());
    let modified = modified.and_then(|modified| Timestamp::try_from(modified).ok());
    modified.is_some_and(|modified| {
        now.duration_since(modified).unsigned_abs() >= UNFINISHED_LIMIT && now > modified
    })
}
