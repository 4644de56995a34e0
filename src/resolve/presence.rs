//! Decides whether a model is present: recorded, and still what its record says. It reads no byte of the model.

use std::{io, path::Path, sync::Arc};

use artifact_store::Store;
use provisioner_core::{
    CatalogRecord, Expectation, Lifecycle, ModelRef, Outcome, RecordedFile, ResolvedModel, Stamp, Versioned,
};

use super::{
    admission::{check_record, left_to_refresh},
    local_code,
    local_folder::has_recorded_names,
    lockfile::is_as_locked,
    reference::canonical,
    signature_rules::warn_of_lack,
};
use crate::{
    catalog::provenance::{self, Action, Line},
    context::Context,
    error::{Error, Result},
};

/// Returns the model, if its record satisfies the expectation and its files have not changed. Notes the use of the model.
///
/// # Errors
/// [`Error::Retired`]; the policy denies the model.
pub(crate) async fn present(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<Option<ResolvedModel>> {
    let id = reference.id();
    let Some(Versioned { record, .. }) = ctx.catalog.get(&id).await? else { return Ok(None) };
    if record.lifecycle == Lifecycle::Retired {
        return Err(Error::Retired { id });
    }
    check_record(ctx, &record)?;
    if !record.satisfies(expectation) || !is_as_locked(ctx, reference, &record)? {
        return Ok(None);
    }
    warn_of_lack(&record, expectation);
    let left = left_to_refresh(ctx, reference, &record);
    ctx.run_blocking(move |ctx| {
        local_code::check_recorded(ctx, &record)?;
        if let Freshness::Changed(reason) = freshness(&record, &ctx.store) {
            tracing::debug!("`{}` is judged again: {reason}", record.id);
            return Ok(None);
        }
        if !is_whole(&ctx.store, &record) {
            tracing::debug!("`{}` is judged again: a process began to remove it", record.id);
            return Ok(None);
        }
        tracing::debug!("`{}` is present, and unchanged", record.id);
        ctx.store.touch_used(&record.id);
        let mut model = ResolvedModel::new(record, true);
        model.notices.extend(left);
        let line = Line { cached: Some(true), ..Line::of_model(ctx, Action::Ensure, &model) };
        provenance::log(ctx).note(&line);
        ctx.announce(&model);
        Ok(Some(model))
    })
    .await
}

/// Returns the model, if its record is active and judged, and its files have not changed. It writes nothing.
pub(crate) async fn locate(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Option<ResolvedModel>> {
    let id = canonical(ctx, reference).await?.id();
    let Some(Versioned { record, .. }) = ctx.catalog.get(&id).await? else { return Ok(None) };
    if record.lifecycle != Lifecycle::Active || record.verification.outcome == Outcome::Fail {
        return Ok(None);
    }
    ctx.run_blocking(move |ctx| {
        let is_there =
            freshness(&record, &ctx.store) == Freshness::Unchanged && is_whole(&ctx.store, &record);
        Ok(is_there.then(|| ResolvedModel::new(record, true)))
    })
    .await
}

/// Returns whether no process has begun to remove a model from the store.
pub(crate) fn is_whole(store: &Store, record: &CatalogRecord) -> bool {
    !store.holds(record.root()) || store.is_sealed(record.root())
}

/// Says whether a model's files are those of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Every file has the recorded stamp, and a folder has the recorded names.
    Unchanged,
    /// A file or a folder differs; the text says how, for a person.
    Changed(String),
}

/// Compares the files of a record with their stamps. It opens none of them, and may block.
pub(crate) fn freshness(record: &CatalogRecord, store: &Store) -> Freshness {
    if record.files.is_empty() {
        return Freshness::Changed("no verifier has looked at its files".to_owned());
    }
    let mut changes = record.files.iter().filter_map(|file| change(file, &record.location(&file.path)));
    if let Some(change) = changes.next() {
        return Freshness::Changed(change);
    }
    match &record.entry {
        Some(_) => Freshness::Unchanged,
        // Other files in a view of the store are not part of the model, but the model's own hidden files are.
        None if store.holds(record.root()) => Freshness::Unchanged,
        None => survey_names(record, &record.local_path),
    }
}

/// Returns how a file differs from its record, for a person; `None` where it does not differ.
pub(crate) fn change(file: &RecordedFile, location: &Path) -> Option<String> {
    let difference = match fs_err::metadata(location) {
        Ok(metadata) if !metadata.is_file() => "it is not a file any more",
        Ok(metadata) => file.stamp.difference(&Stamp::of(&metadata))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "it is gone",
        Err(error) => return Some(error.to_string()),
    };
    Some(format!("`{}`: {difference}", location.display()))
}

/// Says of a model that it [is copied](is_copied), for a person.
pub(crate) const COPIED: &str =
    "copied since it was judged: its files have the sizes that they had, and other inodes";

/// Returns whether every file is another one of the same size, as in a copy of the cache.
pub(crate) fn is_copied(record: &CatalogRecord) -> bool {
    record.files.iter().all(|file| {
        let found = fs_err::metadata(record.location(&file.path)).map(|metadata| Stamp::of(&metadata));
        found.is_ok_and(|now| now.inode != file.stamp.inode && now.size == file.stamp.size)
    })
}

fn survey_names(record: &CatalogRecord, folder: &Path) -> Freshness {
    let names: Vec<_> = match fetch_file::folder_names(folder) {
        Ok(names) => names.into_iter().map(|(path, _)| path).collect(),
        Err(error) => return Freshness::Changed(error.to_string()),
    };
    if has_recorded_names(&names, record) {
        Freshness::Unchanged
    } else {
        Freshness::Changed(format!("`{}` has other files than before", folder.display()))
    }
}
