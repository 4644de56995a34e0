//! The files of a model: as its source lists them now, or as its record does.

use provisioner_core::{
    CatalogRecord, Entry, Locator, Manifest, ManifestFile, ModelRef, ProgressEvent, RecordedFile,
    ResolveRequest,
};

use crate::{context::Context, error::Result};

/// Asks the source of a reference for its manifest, where the policy allows that.
pub(crate) async fn resolve(
    ctx: &Context,
    reference: &ModelRef,
    revision: Option<String>,
) -> Result<Manifest> {
    let fetcher = ctx.registry.find(reference)?;
    if fetcher.uses_network() {
        ctx.policy.check_network(reference)?;
    }
    ctx.progress.on_event(&ProgressEvent::Resolving { id: reference.id() });
    let request = ResolveRequest::new(reference.clone()).at_revision(revision);
    match ctx.transfer.resolve(fetcher, &request, ctx.progress.as_ref()).await {
        // The source's own words: nothing was transferred.
        Err(transfer::Error::Source(error)) => Err(error.into()),
        resolved => Ok(resolved?),
    }
}

/// Returns the manifest of a fetched model's files where they lie in its view.
pub(crate) fn recorded_in_place(reference: &ModelRef, record: &CatalogRecord) -> Result<Manifest> {
    recorded_at(reference, record, |file| Locator::InPlace(record.location(&file.path)))
}

/// Returns the manifest of a fetched model's files, each at the place that `locate` returns.
pub(crate) fn recorded_at(
    reference: &ModelRef,
    record: &CatalogRecord,
    locate: impl Fn(&RecordedFile) -> Locator,
) -> Result<Manifest> {
    let files = record.files.iter().map(|file| ManifestFile {
        path: file.path.clone(),
        size: file.stamp.size,
        digest: None,
        locator: locate(file),
    });
    let entry = record.entry.clone().map_or(Entry::Folder, Entry::File);
    let manifest =
        Manifest::new(reference.clone(), files.collect(), entry)?.with_projector(record.projector.clone());
    Ok(match &record.revision {
        Some(revision) => manifest.at_revision(revision),
        None => manifest,
    })
}
