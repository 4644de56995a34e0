//! Looking into a model, wherever it is, without fetching it.

use std::sync::Arc;

use model_inspect::Inspection;
use provisioner_core::{Manifest, ModelRef, Outcome, Question, RecordedFile};

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

/// Returns what a model says of itself, and what memory it needs.
pub(crate) async fn inspect(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Inspection> {
    let reference = canonical(ctx, reference).await?;
    ctx.ask(&Question::Reference(&reference))?;
    let manifest = match recorded(ctx, &reference).await? {
        Some(manifest) => manifest,
        None => resolve(ctx, &reference, None).await?,
    };
    read_headers(ctx, manifest).await
}

/// Returns the files of a fetched model that is here, each of its size: of what is read, no more is promised. A local model is
/// listed anew, for it needs no record.
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
