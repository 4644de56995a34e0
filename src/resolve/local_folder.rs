//! Settles which files of a local folder are the model: the policy and the files themselves say what their names do not.

use std::collections::BTreeSet;

use model_inspect::{Seekable, gguf::Header};
use provisioner_core::{
    CatalogRecord, CatalogStore, Entry, Format, LeftOutReason, Locator, Manifest, ManifestFile, Notice,
    PolicyEngine, Question, RelativePath, Role, ask, reference::ShardName,
};

use crate::{
    context::{Context, run_blocking},
    error::Result,
};

/// Returns the manifest of a local folder without the pickles that nothing loads, and with the projector that only its header tells.
/// Any other manifest stays as it is.
///
/// Pickles that the policy allows stay. Where a record has a digest, that digest says which of them belong to the model.
pub(super) async fn settle(ctx: &Context, manifest: Manifest) -> Result<Manifest> {
    if !manifest.reference().is_local() || *manifest.entry() != Entry::Folder {
        return Ok(manifest);
    }
    let manifest = without_pickles(ctx, manifest).await?;
    with_projector(manifest).await
}

async fn without_pickles(ctx: &Context, manifest: Manifest) -> Result<Manifest> {
    let names: Vec<_> = manifest.files().iter().map(|file| file.path.clone()).collect();
    let superfluous = fetch_file::superfluous_pickles(&names);
    if superfluous.is_empty() {
        return Ok(manifest);
    }
    let id = manifest.reference().id();
    let recorded = recorded_names(ctx.catalog.as_ref(), &id).await?;
    let stays = |path: &RelativePath| match &recorded {
        Some(recorded) => recorded.contains(path),
        None => is_allowed(ctx.policy.as_ref(), path),
    };
    let goes = |path: &RelativePath, _| superfluous.contains(path) && !stays(path);
    Ok(manifest.leave_out(goes, LeftOutReason::Pickle, |notices, files| {
        notices.push(Notice::PicklesLeftOut { files });
    }))
}

/// Returns the files of a record that has a digest of them all.
async fn recorded_names(catalog: &dyn CatalogStore, id: &str) -> Result<Option<BTreeSet<RelativePath>>> {
    let found = catalog.get(id).await?.filter(|found| found.record.digest.is_some());
    let names = |record: &CatalogRecord| record.files.iter().map(|file| file.path.clone()).collect();
    Ok(found.map(|found| names(&found.record)))
}

fn is_allowed(policy: &dyn PolicyEngine, path: &RelativePath) -> bool {
    let format = Format::named(path.file_name()).unwrap_or(Format::Pickle);
    ask(policy, &Question::Format { path: path.as_str(), format }).is_ok()
}

/// How many headers a look for a projector reads at the most. A folder with more models is a collection of models.
const MAX_HEADERS: usize = 16;

/// Sets the projector that only its header tells: the only one among several files of GGUF, of which none is a projector by its name.
async fn with_projector(manifest: Manifest) -> Result<Manifest> {
    let is_gguf = |file: &&ManifestFile| Format::named(file.path.file_name()) == Some(Format::Gguf);
    let is_looked_at = |file: &&ManifestFile| {
        ShardName::parse(file.path.file_name()).is_none_or(|shard| shard.number() == 1)
    };
    let ggufs: Vec<_> = manifest.files().iter().filter(is_gguf).filter(is_looked_at).cloned().collect();
    let is_named = manifest.projector().is_some();
    if is_named || ggufs.iter().any(|file| fetch_file::is_projector(&file.path)) {
        return Ok(manifest);
    }
    if !(2..=MAX_HEADERS).contains(&ggufs.len()) {
        return Ok(manifest);
    }
    let found = run_blocking(move || {
        let mut projectors = ggufs.into_iter().filter(is_projector_by_header).map(|file| file.path);
        Ok(projectors.next().filter(|_| projectors.next().is_none()))
    });
    Ok(manifest.with_projector(found.await?))
}

/// Returns whether the header of a file says that it is a projector. A file that cannot be read is a matter of the verifier.
fn is_projector_by_header(file: &ManifestFile) -> bool {
    let Locator::InPlace(location) = &file.locator else { return false };
    let header = fs_err::File::open(&**location).and_then(Seekable::new);
    header
        .ok()
        .and_then(|mut file| Header::read(&mut file).ok())
        .is_some_and(|header| header.role() == Role::Projector)
}

/// Returns whether some names of a folder are those of a record, but for pickles that nothing loads.
pub(super) fn has_recorded_names(names: &[RelativePath], record: &CatalogRecord) -> bool {
    let recorded = || record.files.iter().map(|file| &file.path);
    if names.iter().eq(recorded()) {
        return true;
    }
    let superfluous = fetch_file::superfluous_pickles(names);
    !superfluous.is_empty() && names.iter().filter(|name| !superfluous.contains(name)).eq(recorded())
}
