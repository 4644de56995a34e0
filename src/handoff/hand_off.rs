//! Writes a model's handoff.

use std::{
    path::{Path, PathBuf},
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
        if is_in_the_way(&model, &path) {
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
        let target = real(&dest);
        if target.is_some() && target == real(&config) {
            return Err(Error::HandoffInTheWay { path: dest });
        }
        Ok(())
    })
    .await
}

/// Returns the path behind the symlinks of a path, as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let found = |path: &Path| fs_err::canonicalize(path).ok();
    found(&path).or_else(|| Some(found(path.parent()?)?.join(path.file_name()?)))
}

/// Returns whether a document at this path would overwrite a file of the model, or become one.
pub(crate) fn is_in_the_way(model: &ResolvedModel, path: &Path) -> bool {
    let target = real(path);
    let is_file =
        model.files.iter().any(|file| target.is_some() && real(&model.location(&file.path)) == target);
    let is_inside = model.local_path.is_dir()
        && target.zip(real(&model.local_path)).is_some_and(|(target, folder)| target.starts_with(folder));
    is_file || is_inside
}
