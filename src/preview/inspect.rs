//! Reads what a model's headers say, without fetching the model.

use std::sync::Arc;

use model_inspect::Inspection;
use provisioner_core::{FactNeeds, Manifest, ModelRef, Outcome, Question, RecordedFile, ResolveRequest};

use super::headers::read_headers;
use crate::{
    context::Context,
    error::Result,
    resolve::{
        manifest::{recorded_in_place, resolve},
        presence::is_whole,
        reference::canonical,
    },
};

/// Returns what a model's headers say of it, what memory it needs, and what its source tells of it.
pub(crate) async fn inspect(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Inspection> {
    let reference = canonical(ctx, reference).await?;
    ctx.ask(&Question::Reference(&reference))?;
    let manifest = match recorded(ctx, &reference).await? {
        Some(manifest) => manifest,
        None => resolve(ctx, &ResolveRequest::new(reference).needing(FactNeeds::shown())).await?,
    };
    let source = manifest.source().filter(|source| !source.is_empty()).cloned();
    Ok(read_headers(ctx, manifest).await?.with_source(source))
}

/// Returns the files of a recorded fetched model that all have the recorded size; the call promises nothing more of them.
/// A local model needs no record, and its fetcher lists it anew.
async fn recorded(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Option<Manifest>> {
    if reference.is_local() {
        return Ok(None);
    }
    let found = ctx.catalog.get(&reference.id()).await?;
    let Some(found) = found.filter(|found| found.record.verification.outcome != Outcome::Fail) else {
        return Ok(None);
    };
    let reference = reference.clone();
    ctx.run_blocking(move |ctx| {
        let record = found.record;
        let has_its_size = |file: &RecordedFile| {
            let found = fs_err::metadata(record.location(&file.path));
            found.is_ok_and(|found| found.is_file() && found.len() == file.stamp.size)
        };
        let is_here = record.files.iter().all(has_its_size) && is_whole(&ctx.store, &record);
        if is_here { recorded_in_place(&reference, &record).map(Some) } else { Ok(None) }
    })
    .await
}
