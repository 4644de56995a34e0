//! Writes a model's handoff.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use handoff::{Handoff, HandoffProvenance};
use provisioner_core::ResolvedModel;

use crate::{
    catalog::provenance::{self, Action, Line},
    context::{Context, run_blocking},
    error::{Error, Result},
};

/// Writes a model's handoff, and returns its absolute path. Before that, it appends a line to the provenance log, which the
/// handoff names. `config` is the file that asked for the handoff.
pub(crate) async fn hand_off(
    ctx: &Arc<Context>,
    model: &ResolvedModel,
    dest: &Path,
    config: Option<PathBuf>,
) -> Result<PathBuf> {
    let (model, dest) = (model.clone(), dest.to_owned());
    ctx.run_blocking(move |ctx| {
        let path = std::path::absolute(&dest)
            .map_err(|error| Error::storage("the working directory cannot be found", error))?;
        if path.to_str().is_none() {
            return Err(provisioner_core::Error::PathNotUtf8 { path: path.display().to_string() }.into());
        }
        if is_in_the_way(ctx, &model, &path) {
            return Err(Error::HandoffInTheWay { path });
        }
        let action = if config.is_some() { Action::Provision } else { Action::Handoff };
        let line =
            Line { config: config.as_deref(), handoff: Some(&path), ..Line::of_model(ctx, action, &model) };
        let provenance = provenance::log(ctx).rest(&line).map(|position| HandoffProvenance {
            seq: position.seq,
            line: format!("sha256:{}", position.hex()),
            log: ctx.cache.provenance().path(),
        });
        handoff::write(&Handoff::of(&model).resting_on(provenance), &path)?;
        Ok(path)
    })
    .await
}

/// Fails where a handoff at `dest` would overwrite the config that asks for it.
pub(crate) async fn check_config_stays(config: &Path, dest: &Path) -> Result<()> {
    let (config, dest) = (config.to_owned(), dest.to_owned());
    run_blocking(move || {
        if is_same(&dest, &config) {
            return Err(Error::HandoffInTheWay { path: dest });
        }
        Ok(())
    })
    .await
}

/// Returns whether two paths lead to the same place.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    real(one).is_some_and(|one| real(other) == Some(one))
}

/// Returns the path behind the symlinks of a path, as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let (mut found, known) =
        path.ancestors().find_map(|known| Some((fs_err::canonicalize(known).ok()?, known)))?;
    for next in path.strip_prefix(known).ok()?.components() {
        if next == Component::ParentDir {
            found.pop();
        } else {
            found.push(next);
        }
    }
    Some(fs_err::canonicalize(&found).unwrap_or(found))
}

/// Returns whether a document at this path would overwrite a file of the model or of the cache, or become one.
pub(crate) fn is_in_the_way(ctx: &Context, model: &ResolvedModel, path: &Path) -> bool {
    let Some(target) = real(path) else { return false };
    let is_file = model.files.iter().any(|file| real(&model.location(&file.path)).as_ref() == Some(&target));
    let is_inside =
        model.local_path.is_dir() && real(&model.local_path).is_some_and(|folder| target.starts_with(folder));
    is_file || is_inside || ctx.cache.owns(&target)
}
