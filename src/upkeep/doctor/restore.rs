//! Finds models that are not what their records say, and restores them without their source.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Expectation, Hint, Lifecycle, ModelRef, ResolvedModel};

use super::{finding::HealthFinding, record};
use crate::{
    catalog::provenance::Action,
    commit::model::commit,
    context::Context,
    error::{Error, Result},
    resolve::presence::is_whole,
    stage::{restage::restage, session::StagingSession},
    verify::judge::judge,
};

/// Describes a model that is not what its record says.
pub(super) struct Broken {
    pub(super) id: String,
    finding: HealthFinding,
    /// The next step where the store cannot restore the model.
    hint: Hint,
}

impl Broken {
    pub(super) fn new(ctx: &Context, record: &CatalogRecord, finding: HealthFinding) -> Self {
        Self { id: record.id.clone(), finding, hint: record::hint(ctx, record) }
    }
}

/// Returns how a model is not what its record says. `None` for a whole model, and for one that a live process is making present.
/// It may block.
pub(super) fn broken(ctx: &Context, record: &CatalogRecord) -> Option<Broken> {
    let finding = record::finding(ctx, record)?;
    (!ctx.store.is_being_staged(&record.id)).then(|| Broken::new(ctx, record, finding))
}

/// Makes a model what its record says, without its source. Returns `None` where another process has done so meanwhile, or
/// has removed the model.
pub(super) async fn bring_back(ctx: &Arc<Context>, broken: Broken, fix: bool) -> Option<HealthFinding> {
    let Broken { id, finding, hint } = broken;
    if !fix {
        return Some(finding);
    }
    let restored = match ModelRef::parse(&id, None).map_err(Error::from).and_then(|id| ctx.registry.read(&id))
    {
        Ok(local) if local.is_local() => Ok(None),
        Ok(fetched) => restore(ctx, &fetched).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if matches!(restored, Ok(None)) && !is_still_broken(ctx, &id).await {
        return None;
    }
    let how = || "its bytes are those of its record, and it is present again".to_owned();
    let mended = restored.map(|restored| restored.map(|_| how()));
    Some(HealthFinding { hint: Some(hint), ..finding }.after(mended))
}

/// Makes a recorded model present, without its source: from its view, or else from its blobs. Returns `None` where the
/// store lacks bytes of it, and for a retired model.
///
/// # Errors
/// The code `busy` where another process is making the model present; the verdict of a verifier.
async fn restore(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Option<ResolvedModel>> {
    let id = reference.id();
    let session = StagingSession::take_now(ctx, &id).await?;
    let Some(previous) = ctx.catalog.get(&id).await? else { return Ok(None) };
    let record = &previous.record;
    if record.lifecycle != Lifecycle::Active {
        return Ok(None);
    }
    let Some(staged) = restage(ctx, reference, record).await? else { return Ok(None) };
    let verified = judge(ctx, staged, Expectation::none().or(record.evidence())).await?;
    commit(ctx, verified, Some(previous), session, Action::Ensure).await.map(Some)
}

async fn is_still_broken(ctx: &Arc<Context>, id: &str) -> bool {
    let Ok(found) = ctx.catalog.get(id).await else { return true };
    let Some(found) = found else { return false };
    let look = ctx.run_blocking(move |ctx| {
        Ok(record::finding(ctx, &found.record).is_some() || !is_whole(&ctx.store, &found.record))
    });
    look.await.unwrap_or(true)
}
