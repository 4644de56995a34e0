//! Makes the record of a verified model the current one.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, ResolvedModel, VerifiedModel, Versioned};

use super::{
    record::record_of,
    view::{seal, seal_again},
};
use crate::{
    catalog::{
        provenance::{self, Action, AdoptionEntry, Line, adoptions},
        put::put,
    },
    context::Context,
    error::{Error, Result},
    stage::session::StagingSession,
    store_lock,
};

/// Makes a verified model's record the current one. It replaces `previous`, the record that the model was judged against.
///
/// # Errors
/// A [conflict](Error::is_conflict) where another process changed that record, or removed a blob that this call had
/// found.
pub(crate) async fn commit(
    ctx: &Arc<Context>,
    verified: VerifiedModel,
    previous: Option<Versioned>,
    session: Arc<StagingSession>,
    action: Action,
) -> Result<ResolvedModel> {
    let is_fetched = !verified.staged().manifest().is_in_place();
    let is_stored =
        is_fetched || verified.staged().files().iter().any(|file| ctx.store.holds(&file.location));
    // From the look at stored files until a record names them, no process removes any of them.
    let (store_lock, mut fresh) = if is_fetched {
        let store_lock = store_lock::shared(ctx).await?;
        let fresh = seal(ctx, Arc::clone(&store_lock), verified, Arc::clone(&session)).await?;
        (Some(store_lock), fresh)
    } else if is_stored {
        let store_lock = store_lock::shared_if_writable(ctx).await?;
        let fresh = record_of(ctx, verified).await?;
        (store_lock.clone(), seal_again(ctx, store_lock, fresh).await?)
    } else {
        (None, record_of(ctx, verified).await?)
    };
    if let Some(Versioned { record, .. }) = &previous {
        fresh = fresh.succeeding(record);
    }
    let record = match put(ctx, fresh.clone(), previous.as_ref(), action).await {
        // Where this process may not write to the cache, it still serves what the cache has.
        Err(error) if error.is_unwritable() => match &previous {
            Some(previous) => {
                warn_of_reading(&fresh, &previous.record, &error);
                fresh
            }
            None => return Err(error),
        },
        put => put?,
    };
    let adopted = session.take_adopted();
    let model = ResolvedModel::new(record, !session.has_fetched());
    drop(session);
    ctx.run_blocking(move |ctx| {
        note_adopted(ctx, &model, &adopted);
        ctx.store.touch_used(&model.id);
        drop(store_lock);
        ctx.announce(&model);
        Ok(model)
    })
    .await
}

/// Appends to the log from where this process took files of the model.
fn note_adopted(ctx: &Context, model: &ResolvedModel, adopted: &[AdoptionEntry]) {
    for adopted in adoptions(adopted) {
        let line = Line {
            local_path: Some(&model.local_path),
            digest: model.digest.as_ref(),
            adopted: Some(adopted),
            ..Line::new(ctx.clock.now(), Action::Adopt, &model.id)
        };
        provenance::log(ctx).record(&line);
    }
}

/// Warns that this process read a model whose files are not those of its record, and that the next call reads it too.
fn warn_of_reading(fresh: &CatalogRecord, recorded: &CatalogRecord, error: &Error) {
    if fresh.files != recorded.files {
        tracing::warn!(
            "`{}` has the bytes of its record in other files, as a copy has; this rests on reading them now, which cannot be \
             recorded ({error}), so each call reads them: verify the model once where the cache can be written",
            fresh.id
        );
    }
}
