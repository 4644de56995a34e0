//! Retires a model, and activates it again.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Lifecycle, ModelRef};

use crate::{
    catalog::{provenance::Action, put::put, records},
    context::Context,
    error::Result,
    resolve::reference::canonical,
    retry::retry_on_conflict,
};

/// Retires a model: its record and its files stay, and every call refuses it until the operator activates it.
pub(crate) async fn retire(ctx: &Arc<Context>, reference: &ModelRef) -> Result<CatalogRecord> {
    move_to(ctx, reference, Lifecycle::Retired, Action::Retire).await
}

/// Makes a retired model usable again.
pub(crate) async fn activate(ctx: &Arc<Context>, reference: &ModelRef) -> Result<CatalogRecord> {
    move_to(ctx, reference, Lifecycle::Active, Action::Activate).await
}

async fn move_to(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    to: Lifecycle,
    action: Action,
) -> Result<CatalogRecord> {
    let id = canonical(ctx, reference).await?.id();
    retry_on_conflict(&id, || async {
        let previous = records::find(ctx, &id).await?;
        let record = CatalogRecord { lifecycle: to, updated_at: ctx.clock.now(), ..previous.record.clone() };
        put(ctx, record, Some(&previous), action).await
    })
    .await
}
