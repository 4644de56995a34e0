//! Gets the files of a model: as its source lists them now, or as its record does.

use provisioner_core::{
    CatalogRecord, FactNeeds, Locator, Manifest, ModelRef, Need, ProgressEvent, Question, RecordedFile,
    ResolveRequest, ScanStatus,
};

use super::local_folder::settle;
use crate::{context::Context, error::Result};

/// Asks the source of a reference for its manifest, where the policy allows it.
pub(crate) async fn resolve(ctx: &Context, request: &ResolveRequest) -> Result<Manifest> {
    let reference = &request.reference;
    let fetcher = ctx.registry.find(reference)?;
    if fetcher.uses_network() {
        ctx.ask(&Question::Network(reference))?;
    }
    if let Some(program) = fetcher.program() {
        ctx.ask(&Question::ShellOut { program })?;
    }
    ctx.progress.on_event(&ProgressEvent::Resolving { id: reference.id() });
    let request = &request.clone().needing(request.needs.or(needs_of_rules(ctx, reference)));
    match ctx.transfer.resolve(fetcher, request, ctx.progress.as_ref()).await {
        // The source's own error: no byte was transferred.
        Err(transfer::Error::Source(error)) => Err(error.into()),
        resolved => settle(ctx, resolved?).await,
    }
}

/// Returns which facts the rules of the policy are about.
fn needs_of_rules(ctx: &Context, reference: &ModelRef) -> FactNeeds {
    let denies = |status: &ScanStatus| ctx.ask(&Question::Scan { path: "", status: *status }).is_err();
    let unknown = Question::License { id: &reference.id(), license: None };
    let mut needs = FactNeeds::default();
    needs.license = Need::of_rule(ctx.ask(&unknown).is_err());
    needs.scans = Need::of_rule(ScanStatus::ALL.iter().any(denies));
    needs
}

/// Returns a manifest with what the record keeps of the choice, where the source lists the files of the record again.
pub(crate) fn as_recorded(manifest: Manifest, record: &CatalogRecord) -> Manifest {
    let is_recorded = manifest.revision().is_some()
        && manifest.revision() == record.revision.as_deref()
        && manifest.files().iter().map(|file| &file.path).eq(record.files.iter().map(|file| &file.path));
    if is_recorded { manifest.chosen_as(record) } else { manifest }
}

/// Returns a manifest of a fetched model whose files lie in its view.
pub(crate) fn recorded_in_place(reference: &ModelRef, record: &CatalogRecord) -> Result<Manifest> {
    let in_place = |file: &RecordedFile| Locator::InPlace(record.location(&file.path).into());
    Ok(Manifest::of_record(reference.clone(), record, in_place)?)
}
