//! Stages a fetched model from what the store has of it, without its source.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Expectation, ModelRef, Outcome, StagedModel};

use super::supply::{in_place::stage_in_place, store::stage_blobs};
use crate::{context::Context, error::Result, resolve::manifest::recorded_in_place};

/// Stages a model that an earlier call fetched. It takes the files of the view where their stamps or their bytes are the
/// recorded ones, and otherwise the blobs. Returns `None` where the store lacks a file.
pub(crate) async fn restage(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    record: &CatalogRecord,
) -> Result<Option<StagedModel>> {
    let lost = if record.verification.outcome == Outcome::Fail {
        record.verification.reason.clone()
    } else {
        let manifest = recorded_in_place(reference, record)?;
        let staged = stage_in_place(ctx, manifest, &Expectation::none(), true, Some(record.clone())).await;
        let is_same = |staged: &StagedModel| {
            let now = staged.files().iter().map(|file| &file.sha256);
            now.eq(record.files.iter().map(|file| &file.sha256))
        };
        match staged {
            Ok(staged) if is_same(&staged) => return Ok(Some(staged)),
            Ok(_) => "its bytes are not those of its record".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    let linked = stage_blobs(ctx, reference, record).await?;
    let what = if linked.is_some() { "is linked again" } else { "has to be fetched again" };
    tracing::warn!("`{reference}` {what}: {lost}");
    Ok(linked)
}
