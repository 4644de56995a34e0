//! Reading all bytes of recorded models, and recording what they are.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use provisioner_core::{
    CatalogRecord, EnsureEffect, ErrorCode, Expectation, Hint, ModelRef, Outcome, ProgressEvent, Rejection,
    Verification, Versioned,
};

use crate::{
    catalog::{provenance::Action, put::put, records},
    commit::record::record_of,
    context::Context,
    error::{Error, Result},
    resolve::{
        manifest::{recorded_in_place, resolve},
        reference::canonical,
    },
    retry::retry_on_conflict,
    stage::supply::in_place::stage_in_place,
    store_lock::{REMOVAL_WAIT, exclusive_within},
    verify::judge::judge,
};

/// What verifying a model found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The id of the model.
    pub id: String,
    /// Whether the bytes are those that are expected.
    pub outcome: Outcome,
    /// Why, for a person.
    pub reason: String,
    /// The code of a failure.
    pub code: Option<ErrorCode>,
    /// What to do about a failure.
    pub hint: Option<Hint>,
}

/// Reads all bytes of a recorded model, compares them with the digest that it has, and records the outcome.
pub(crate) async fn verify(ctx: &Arc<Context>, reference: &ModelRef) -> Result<VerifyReport> {
    let reference = canonical(ctx, reference).await?;
    let id = reference.id();
    retry_on_conflict(&id, || attempt(ctx, &reference)).await
}

async fn attempt(ctx: &Arc<Context>, reference: &ModelRef) -> Result<VerifyReport> {
    let id = reference.id();
    let previous = records::find(ctx, &id).await?;
    let (record, rejection) = match read(ctx, reference, &previous.record).await {
        // Another process linked the model, or removed it, while it was read.
        Err(error) if !error.is_conflict() && !records::is_current(ctx, &previous).await? => {
            return Err(Error::conflict(&id));
        }
        judged => judged?,
    };
    let is_moved = match &rejection {
        None => keep_verdict(ctx, record.clone(), &previous).await?,
        Some(_) => invalidate(ctx, record.clone(), &previous).await?,
    };
    let code = rejection.as_ref().map(Rejection::code);
    let hint = code.map(|_| remedy(ctx, &record, is_moved));
    let Verification { outcome, reason, .. } = record.verification;
    Ok(VerifyReport { id, outcome, reason, code, hint })
}

/// Verifies several models, as many at once as there are cores. The answers are in the order of the references.
pub(crate) async fn verify_several(ctx: &Arc<Context>, references: &[ModelRef]) -> Vec<Result<VerifyReport>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let models = references.len();
    if models > 1 {
        let mut total_bytes = 0u64;
        for reference in references {
            let Ok(reference) = canonical(ctx, reference).await else { continue };
            let found = ctx.catalog.get(&reference.id()).await;
            let size = found.ok().flatten().map_or(0, |found| found.record.size_bytes);
            total_bytes = total_bytes.saturating_add(size);
        }
        ctx.progress.on_event(&ProgressEvent::VerifyStarted { models, total_bytes });
    }
    let work = references.iter().map(|reference| verify(ctx, reference).boxed());
    let done = stream::iter(work.collect::<Vec<_>>()).buffered(cores).collect().await;
    if models > 1 {
        ctx.progress.on_event(&ProgressEvent::VerifyEnded { models });
    }
    done
}

/// Returns what a record becomes when all bytes are read, and why they failed.
async fn read(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    previous: &CatalogRecord,
) -> Result<(CatalogRecord, Option<Rejection>)> {
    // A fetched model is verified where it lies; no source is asked.
    let manifest = if reference.is_local() {
        let resolved = resolve(ctx, reference, None).await;
        resolved.map_err(|error| error.where_absent(remedy(ctx, previous, false)))?
    } else {
        recorded_in_place(reference, previous)?
    };
    let expectation = Expectation::none().or(previous.evidence());
    let absent = Hint::Ensure { id: previous.id.clone(), effect: EnsureEffect::BringsBack };
    let staged = stage_in_place(ctx, manifest, &expectation, true, None).await;
    let staged = staged.map_err(|error| error.where_absent(absent))?;
    match judge(ctx, staged, expectation).await {
        Ok(verified) => {
            let now = verified.verification().verified_at;
            let mut record = record_of(ctx, &verified).await?.succeeding(previous);
            record.verification.verified_at = now;
            record.lifecycle = previous.lifecycle;
            Ok((record, None))
        }
        Err(Error::Core(provisioner_core::Error::Rejected { rejection, .. })) => {
            let mut record = previous.clone();
            record.fail(rejection.to_string(), ctx.clock.now());
            Ok((record, Some(rejection)))
        }
        Err(error) => Err(error),
    }
}

/// Records what was found. The caller is told, though the record cannot be written. Returns that no file has moved.
async fn keep_verdict(ctx: &Arc<Context>, record: CatalogRecord, previous: &Versioned) -> Result<bool> {
    match put(ctx, record, Some(previous), Action::Verify).await {
        Err(error) if !error.is_unwritable() => Err(error),
        _ => Ok(false),
    }
}

/// Records that a model failed, and moves its view to the quarantine unless a live process uses it. Returns whether it did.
async fn invalidate(ctx: &Arc<Context>, record: CatalogRecord, previous: &Versioned) -> Result<bool> {
    let is_stored = ctx.store.holds(record.root());
    // Under the store lock no process repairs the view or removes it. Without it, the record alone keeps it from being used.
    let store_lock = if is_stored { exclusive_within(ctx, REMOVAL_WAIT).await.ok() } else { None };
    keep_verdict(ctx, record.clone(), previous).await?;
    let Some(store_lock) = store_lock else { return Ok(false) };
    ctx.run_blocking(move |ctx| Ok(ctx.store.invalidate(&store_lock, &record)?)).await
}

/// Returns what to do about wrong bytes.
fn remedy(ctx: &Context, record: &CatalogRecord, is_moved: bool) -> Hint {
    let id = record.id.clone();
    if is_moved {
        Hint::Ensure { id, effect: EnsureEffect::FetchesAgain }
    } else if ctx.store.holds(record.root()) {
        Hint::Ensure { id, effect: EnsureEffect::PutsRight }
    } else {
        Hint::ReplaceFiles { id }
    }
}
