//! Reads all bytes of recorded models, and records the outcome.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use provisioner_core::{
    CatalogRecord, EnsureEffect, ErrorCode, Expectation, Hint, ModelRef, Outcome, ProgressEvent, Rejection,
    ResolveRequest, Verification, Versioned,
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

/// Reports what a call found when it verified a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The id of the verified model.
    pub id: String,
    /// Says whether the bytes are the expected ones.
    pub outcome: Outcome,
    /// The reason, for a person.
    pub reason: String,
    /// The code of a failure; `None` after a success.
    pub code: Option<ErrorCode>,
    /// The next step after a failure.
    pub hint: Option<Hint>,
}

/// Reads all bytes of a recorded model, compares them with the recorded digest, and records the outcome.
pub(crate) async fn verify(ctx: &Arc<Context>, reference: &ModelRef) -> Result<VerifyReport> {
    let reference = canonical(ctx, reference).await?;
    let id = reference.id();
    retry_on_conflict(&id, || attempt(ctx, &reference)).await
}

async fn attempt(ctx: &Arc<Context>, reference: &ModelRef) -> Result<VerifyReport> {
    let id = reference.id();
    let previous = records::find(ctx, &id).await?;
    let (record, rejection) = match read(ctx, reference, &previous.record).await {
        // Another process linked or removed the model while this call read it.
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

/// Verifies several models, as many at once as this machine has cores. The answers have the order of the references.
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

/// Reads all bytes of a record, and returns its new record with the reason of a failure.
async fn read(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    previous: &CatalogRecord,
) -> Result<(CatalogRecord, Option<Rejection>)> {
    // The store has a fetched model, so the call asks no source.
    let manifest = if reference.is_local() {
        let resolved = resolve(ctx, &ResolveRequest::new(reference.clone())).await;
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
            let mut record = record_of(ctx, verified).await?.succeeding(previous);
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

/// Records the outcome. The caller learns it even where the record cannot be written. Returns that no file has moved.
async fn keep_verdict(ctx: &Arc<Context>, record: CatalogRecord, previous: &Versioned) -> Result<bool> {
    match put(ctx, record, Some(previous), Action::Verify).await {
        Err(error) if !error.is_unwritable() => Err(error),
        _ => Ok(false),
    }
}

/// Records that a model failed, and moves its view to the quarantine unless a live process uses it. Returns whether it
/// moved the view.
async fn invalidate(ctx: &Arc<Context>, record: CatalogRecord, previous: &Versioned) -> Result<bool> {
    let is_stored = ctx.store.holds(record.root());
    // Under the store lock no process repairs or removes the view. Without the lock, the record alone keeps callers from
    // the view.
    let store_lock = if is_stored { exclusive_within(ctx, REMOVAL_WAIT).await.ok() } else { None };
    keep_verdict(ctx, record.clone(), previous).await?;
    let Some(store_lock) = store_lock else { return Ok(false) };
    ctx.run_blocking(move |ctx| Ok(ctx.store.invalidate(&store_lock, &record)?)).await
}

/// Returns the next step for a model with wrong bytes.
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
