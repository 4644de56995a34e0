//! Checks whether a model is still what its record says.

use std::{io, path::PathBuf};

use provisioner_core::{CatalogRecord, EnsureEffect, Hint, Lifecycle, Outcome, RecordedFile, Repair};

use super::finding::HealthFinding;
use crate::{
    context::Context,
    resolve::presence::{COPIED, change, is_copied},
};

/// Returns the problem of a model, from its record and the stamps of its files.
pub(super) fn finding(ctx: &Context, record: &CatalogRecord) -> Option<HealthFinding> {
    let id = &record.id;
    if let Some(path) = is_missing(record) {
        let problem = format!("`{id}`: `{}` is gone", path.display());
        return Some(HealthFinding::new(problem, hint(ctx, record)));
    }
    if record.verification.outcome == Outcome::Fail {
        let reason = &record.verification.reason;
        let problem = format!("`{id}` failed its last verification: {reason}");
        return Some(HealthFinding::new(problem, hint(ctx, record)));
    }
    // The files belong to the caller, who may change them.
    if !ctx.store.holds(record.root()) {
        return None;
    }
    // A link that another store makes does not change the file.
    let change = record.files.iter().find_map(|file| {
        let file = RecordedFile { stamp: file.stamp.without_ctime(), ..file.clone() };
        change(&file, &record.location(&file.path))
    })?;
    let problem = if is_copied(record) {
        format!("`{id}` was {COPIED}")
    } else {
        format!("`{id}` changed since it was judged: {change}")
    };
    Some(HealthFinding::new(problem, Hint::Repair(Repair::ReadsAnew)))
}

/// Returns the hint that makes a model present again, with the store alone where that is enough.
pub(super) fn hint(ctx: &Context, record: &CatalogRecord) -> Hint {
    let id = record.id.clone();
    if !ctx.store.holds(record.root()) {
        Hint::BringFileBack
    } else if record.lifecycle == Lifecycle::Retired {
        Hint::ActivateAndEnsure { id }
    } else {
        Hint::Ensure { id, effect: EnsureEffect::BringsBack }
    }
}

/// Returns the first of a model's files that is missing.
fn is_missing(record: &CatalogRecord) -> Option<PathBuf> {
    let is_gone = |path: &PathBuf| {
        fs_err::metadata(path).is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        })
    };
    record.files.iter().map(|file| record.location(&file.path)).find(is_gone)
}
