//! Stages a model as its source lists it: in place, or transferred.

use std::sync::Arc;

use provisioner_core::{
    CatalogRecord, Expectation, Manifest, ModelRef, ResolveRequest, ScratchFolder, StagedModel,
};

use super::{acquire::acquire, session::StagingSession, supply::in_place::stage_in_place};
use crate::{
    catalog::provenance::note_refusal,
    context::Context,
    error::Result,
    resolve::{
        admission::{admit, log_notices},
        local_code,
        lockfile::check_admitted,
        manifest::as_recorded,
        mirrors::{Supply, resolve_supply},
        recall::Resolution,
        signature,
        signature_rules::check_listing,
    },
};

/// Stages a model as its source lists it. `listed` is the manifest, where an earlier step has asked the source already;
/// `recorded` is the model's record.
///
/// # Errors
/// The policy denies the model; the listing cannot meet the expectation; the source fails.
pub(crate) async fn stage_from_source(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    listed: Option<Manifest>,
    expectation: &Expectation,
    recorded: Option<&CatalogRecord>,
    session: &Arc<StagingSession>,
) -> Result<StagedModel> {
    let id = reference.id();
    let request = match recorded {
        Some(record) => ResolveRequest::of_record(reference.clone(), record),
        None => ResolveRequest::new(reference.clone()),
    };
    let supply = if let Some(manifest) = listed {
        Supply::of_source(manifest)
    } else {
        let request = request.in_scratch(scratch_of(ctx, reference, session).await?);
        Box::pin(resolve_supply(ctx, &request, expectation)).await?
    };
    let Supply { resolution: Resolution { manifest, source }, suppliers } = supply;
    let manifest = match recorded {
        Some(record) => as_recorded(manifest, record),
        None => manifest,
    };
    let manifest = admit(ctx, manifest)?;
    check_admitted(ctx, &manifest)?;
    log_notices(&id, manifest.notices());
    if let Err(error) = manifest.check(expectation) {
        let error = error.into();
        note_refusal(ctx, &id, &error).await?;
        return Err(error);
    }
    let manifest = signature::find(ctx, manifest, expectation, recorded).await?;
    if let Err(error) = check_listing(&manifest, expectation).await {
        note_refusal(ctx, &id, &error).await?;
        return Err(error);
    }
    let (files, bytes) = (manifest.files().len(), manifest.size_bytes());
    tracing::debug!("`{id}`: files {files}, bytes {bytes}");
    if manifest.is_in_place() {
        let manifest = check_local_code(ctx, reference, manifest).await?;
        let hashes = expectation.needs_hashes();
        stage_in_place(ctx, manifest, expectation, hashes, recorded.cloned()).await
    } else {
        let supply = Supply { resolution: Resolution { manifest, source }, suppliers };
        Box::pin(acquire(ctx, reference, supply, session)).await
    }
}

/// Returns the scratch folder of the program that fetches a model. `None` where its fetcher runs no program.
async fn scratch_of(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    session: &Arc<StagingSession>,
) -> Result<Option<ScratchFolder>> {
    if ctx.registry.find(reference)?.program().is_none() {
        return Ok(None);
    }
    let (id, session) = (reference.id(), Arc::clone(session));
    ctx.run_blocking(move |ctx| session.scratch(&ctx.store, &id).map(Some)).await
}

/// Returns the manifest. Fails where the policy denies program code of a local folder.
async fn check_local_code(ctx: &Arc<Context>, reference: &ModelRef, manifest: Manifest) -> Result<Manifest> {
    let reference = reference.clone();
    ctx.run_blocking(move |ctx| local_code::check_listed(ctx, &reference, &manifest).map(|()| manifest)).await
}
