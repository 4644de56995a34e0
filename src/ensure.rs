//! Takes one model from its reference to the path that an engine opens. `handoff` writes that path for the engine; it calls these
//! functions, and they do not call it.
//!
//! ```text
//! reference ─▶ policy ─▶ present? ──────────────────────────────────────────▶ resolved     (no lock, no socket)
//!                          │ absent, or changed
//!                          ▼
//!   single flight ─▶ present? ─▶ session ─▶ stage ─▶ judge ─▶ commit ─▶ resolved ─▶ handoff
//!                        ▲                                      │
//!                        └───── another process changed it ─────┘
//! ```
//!
//! | step | where |
//! | --- | --- |
//! | read the reference | [`resolve::reference`](crate::resolve::reference) |
//! | is the model present? | [`resolve::presence`](crate::resolve::presence) |
//! | take the model's lock | [`stage::session`](crate::stage::session) |
//! | ask the source for the manifest | [`resolve::manifest`](crate::resolve::manifest) |
//! | make room | [`space::reserve`](crate::space::reserve) |
//! | get and hash the bytes | [`stage::supply`](crate::stage::supply) |
//! | ask the verifiers | [`verify::judge`](crate::verify::judge) |
//! | seal the view, write the record | [`commit::model`](crate::commit::model) |
//! | write what an engine reads | [`handoff`](crate::handoff) |

use std::sync::Arc;

use provisioner_core::{
    Basis, CatalogRecord, Expectation, Lifecycle, Manifest, ModelRef, Question, ResolveRequest,
    ResolvedModel, SignatureDemand, VerifiedModel, Versioned,
};

use crate::{
    catalog::provenance::{Action, note_refusal},
    commit::{model::commit, superseded::keep_superseded},
    context::Context,
    error::{Error, Result},
    resolve::{
        admission::{log_notices, without_denied},
        lockfile::{demand, is_as_locked},
        manifest::resolve,
        moved::is_recorded,
        presence::present,
        reference::{canonical, parse},
        signature,
        signature_rules::{as_denial, demanded},
    },
    retry::retry_on_conflict,
    stage::{from_source::stage_from_source, restage::restage, session::StagingSession},
    verify::judge::judge,
};

/// Makes the model of a reference present, which a person wrote as text.
pub(crate) async fn ensure_str(
    ctx: &Arc<Context>,
    reference: &str,
    expectation: &Expectation,
) -> Result<ResolvedModel> {
    let parsed = parse(reference).await?;
    ensure(ctx, &parsed, expectation).await.map_err(|error| error.guessing(reference))
}

/// Makes a model present. Calls of this process for one id, at the same time, do the work once.
pub(crate) async fn ensure(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<ResolvedModel> {
    let reference = canonical(ctx, reference).await?;
    let id = reference.id();
    ctx.ask(&Question::Reference(&reference))?;
    let expectation = &demanded(ctx, &reference, &demand(ctx, &reference, expectation)?).await?;
    if let Some(present) = present(ctx, &reference, expectation).await? {
        return Ok(present);
    }
    let work = retry_on_conflict(&id, || Box::pin(attempt(ctx, &reference, expectation)));
    ctx.ensuring.join(&id, expectation, work).await
}

/// Makes a model present. Returns a conflict where another process changes its record meanwhile.
async fn attempt(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<ResolvedModel> {
    let id = reference.id();
    // Another process, or the flight before, may have made the model present meanwhile.
    if let Some(present) = present(ctx, reference, expectation).await? {
        return Ok(present);
    }
    let previous = ctx.catalog.get(&id).await?;
    let old = previous.as_ref().filter(|_| ctx.lock.is_some()).map(|found| found.record.clone());
    let (verified, session) = verify(ctx, reference, expectation, previous.as_ref(), None).await?;
    let model = commit(ctx, verified, previous, session, Action::Ensure).await?;
    if let Some(old) = old.filter(|old| old.revision != model.revision) {
        // The lock file names another revision than the recorded one.
        keep_superseded(ctx, &old).await?;
    }
    Ok(model)
}

/// Makes a model present at the revision that its source names now, and keeps the recorded revision, as Retired. Where
/// the source names none, or still the recorded one, the files that are chosen now replace those that were recorded.
pub(crate) async fn refresh(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<ResolvedModel> {
    let reference = canonical(ctx, reference).await?;
    let is_pinned = ctx.lock.is_some();
    if is_pinned || ctx.registry.find(&reference).is_ok_and(|fetcher| !fetcher.has_revisions()) {
        return ensure(ctx, &reference, expectation).await;
    }
    let id = reference.id();
    let expectation = &demanded(ctx, &reference, expectation).await?;
    let moved = retry_on_conflict(&id, || move_on(ctx, &reference, expectation)).await?;
    let Some((moved, old)) = moved else { return ensure(ctx, &reference, expectation).await };
    keep_superseded(ctx, &old).await?;
    let was_pinned = old.verification.basis == Some(Basis::Pinned);
    if was_pinned && expectation.digest().is_none() && moved.digest != old.digest {
        tracing::warn!("the caller pinned `{id}` by a digest, and the refreshed model has another one");
    }
    Ok(moved)
}

/// Moves a record to what its source lists now, and returns the model and the record that it had. Returns `None` where there is
/// no record, or the source lists what is recorded.
async fn move_on(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<Option<(ResolvedModel, CatalogRecord)>> {
    let id = reference.id();
    let Some(previous) = ctx.catalog.get(&id).await? else { return Ok(None) };
    let old = previous.record.clone();
    if old.lifecycle == Lifecycle::Retired {
        return Err(Error::Retired { id });
    }
    ctx.ask(&Question::Reference(reference))?;
    let manifest = match resolve(ctx, &ResolveRequest::new(reference.clone())).await {
        Err(Error::Core(provisioner_core::Error::Offline { id, .. })) => {
            return Err(provisioner_core::Error::OfflineRefresh { id }.into());
        }
        manifest => without_denied(ctx, manifest?),
    };
    if is_recorded(ctx, &manifest, &old).await? {
        return Ok(None);
    }
    let (verified, session) = verify(ctx, reference, expectation, Some(&previous), Some(manifest)).await?;
    let moved = commit(ctx, verified, Some(previous), session, Action::Ensure).await?;
    Ok(Some((moved, old)))
}

/// Stages a model and judges it by the expectation, or by its record where the caller expects nothing. `moved` is what
/// the source lists now, where that is another revision than the recorded one.
///
/// # Errors
/// A [conflict](Error::is_conflict) where another process changed the record meanwhile.
async fn verify(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
    previous: Option<&Versioned>,
    moved: Option<Manifest>,
) -> Result<(VerifiedModel, Arc<StagingSession>)> {
    let id = reference.id();
    let version = previous.map(|found| found.version);
    // The record of the old revision says nothing of a model that moves to another one, also to that of a lock file.
    let recorded = match previous.map(|found| &found.record).filter(|_| moved.is_none()) {
        // What lies in place is judged, and nothing takes its place.
        Some(record) if reference.is_local() || is_as_locked(ctx, reference, record)? => Some(record),
        _ => None,
    };
    let evidence = recorded
        .and_then(CatalogRecord::evidence)
        .filter(|(_, basis)| !gives_way(expectation, reference, *basis));
    let expectation = expectation.clone().or(evidence);
    let session = StagingSession::begin(ctx, reference, version, recorded).await?;
    let again = match recorded {
        Some(record) if !reference.is_local() => restage(ctx, reference, record).await?,
        _ => None,
    };
    let staged = match again {
        Some(staged) => {
            let manifest = staged.manifest().clone();
            let found = signature::find(ctx, manifest, &expectation, recorded).await?;
            staged.with_signatures(found.signatures().to_vec())
        }
        None => Box::pin(stage_from_source(ctx, reference, moved, &expectation, recorded, &session))
            .await
            .map_err(|error| as_denial(ctx, reference, error))?,
    };
    match judge(ctx, staged, expectation).await {
        Err(error) => {
            if error.is_verdict() {
                note_refusal(ctx, &id, &error).await?;
            }
            Err(as_denial(ctx, reference, error))
        }
        Ok(verified) => {
            tracing::debug!("`{id}` is judged: {}", verified.verification().reason);
            log_notices(&id, verified.notices());
            Ok((verified, session))
        }
    }
}

/// Returns whether what is recorded of a local model gives way to a demanded signature: who signed the bytes decides, and not
/// what they were before. A digest that a caller pinned does not.
fn gives_way(expectation: &Expectation, reference: &ModelRef, basis: Basis) -> bool {
    let is_signed = expectation.signatures().iter().any(SignatureDemand::is_enforced);
    is_signed && reference.is_local() && basis < Basis::Pinned
}
