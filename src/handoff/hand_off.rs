//! Writes a model's handoff.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use handoff::{Handoff, HandoffProvenance};
use provisioner_core::{LockFile, ModelRef, ResolvedModel};

use crate::{
    catalog::provenance::{self, Action, Line},
    context::Context,
    error::{Error, Result},
};

/// Writes a model's handoff, and returns its absolute path. Before that, it appends a line to the provenance log, which the
/// handoff names. `config` is the file that asked for the handoff; `kept` are files that it must not overwrite, such as a statement.
pub(crate) async fn hand_off(
    ctx: &Arc<Context>,
    model: &ResolvedModel,
    dest: &Path,
    config: Option<PathBuf>,
    kept: &[PathBuf],
) -> Result<PathBuf> {
    let (model, dest, kept) = (model.clone(), dest.to_owned(), kept.to_vec());
    ctx.run_blocking(move |ctx| {
        let path = std::path::absolute(&dest)
            .map_err(|error| Error::storage("the working directory cannot be found", error))?;
        if path.to_str().is_none() {
            return Err(provisioner_core::Error::PathNotUtf8 { path: path.display().to_string() }.into());
        }
        check_in_nothings_way(ctx, &model, &path, &kept)?;
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

/// Fails where a document at `dest`, such as a handoff, would overwrite one of the files that the same call reads: its config, its lock
/// file, a policy, a key, a signature or the file of its token. Of an input that is a folder, the call reads all files, and those
/// that would come. It may block.
///
/// # Errors
/// [`Error::HandoffInTheWay`].
pub fn check_inputs_stay<'a>(dest: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let Some(target) = real(dest) else { return Ok(()) };
    let is_read = |input: &Path| {
        let Some(input) = real(input) else { return false };
        let files = || fs_err::read_dir(&input).into_iter().flatten().flatten();
        input == target
            || target.parent() == Some(&input)
            || files().any(|file| real(&file.path()).as_ref() == Some(&target))
    };
    if inputs.into_iter().any(is_read) {
        return Err(Error::HandoffInTheWay { path: dest.to_owned() });
    }
    Ok(())
}

/// Returns the files that a call about a model reads: the lock file, the policies, the keys that these trust, and the caller's own.
pub(crate) fn files_read(ctx: &Context, reference: Option<&ModelRef>) -> Vec<PathBuf> {
    let rules = reference.map(|reference| ctx.policy.signature_rules(reference)).unwrap_or_default();
    let keys = rules.into_iter().flat_map(|rule| rule.keys);
    let policies = ctx.policy.documents().into_iter().map(|document| document.path);
    let lock = ctx.lock.as_ref().and_then(LockFile::path).map(Path::to_owned);
    lock.into_iter().chain(policies).chain(keys).chain(ctx.inputs.iter().cloned()).collect()
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

/// Fails where a document about a model would overwrite one of these files, a file that the call reads, or a file of the model or of
/// the cache, or become one.
///
/// # Errors
/// [`Error::HandoffInTheWay`].
pub(crate) fn check_in_nothings_way(
    ctx: &Context,
    model: &ResolvedModel,
    path: &Path,
    kept: &[PathBuf],
) -> Result<()> {
    let read = files_read(ctx, model.id.parse().ok().as_ref());
    let signatures: Vec<_> = model.signatures.iter().map(|held| model.root().join(&held.file)).collect();
    check_inputs_stay(path, kept.iter().chain(&read).chain(&signatures).map(PathBuf::as_path))?;
    if is_of_model_or_cache(ctx, model, path) {
        return Err(Error::HandoffInTheWay { path: path.to_owned() });
    }
    Ok(())
}

fn is_of_model_or_cache(ctx: &Context, model: &ResolvedModel, path: &Path) -> bool {
    let Some(target) = real(path) else { return false };
    let is_file = model.files.iter().any(|file| real(&model.location(&file.path)).as_ref() == Some(&target));
    let is_inside =
        model.local_path.is_dir() && real(&model.local_path).is_some_and(|folder| target.starts_with(folder));
    is_file || is_inside || ctx.cache.owns(&target)
}
