//! Lists and shows records.

use std::sync::Arc;

use artifact_store::LeftoverEntry;
use provisioner_core::{CatalogRecord, DamagedRecord, ModelRef, Timestamp, Versioned};

use crate::{
    catalog::records,
    context::Context,
    error::Result,
    resolve::{
        presence::{Freshness, freshness, is_whole},
        reference::canonical,
    },
};

/// Lists everything in the catalog.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelList {
    /// The models, in the order of their ids.
    pub models: Vec<ListedModel>,
    /// The records that the catalog cannot read.
    pub damaged: Vec<DamagedRecord>,
    /// The other files of the store: unfinished transfers, and files that failed a check.
    pub leftovers: Vec<LeftoverEntry>,
}

/// Describes one model of an inventory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListedModel {
    /// The record that the catalog keeps.
    pub record: CatalogRecord,
    /// The time at which a caller last asked for the model.
    pub last_used_at: Option<Timestamp>,
}

/// Returns everything in the catalog, as the records say it.
pub(crate) async fn list(ctx: &Arc<Context>) -> Result<ModelList> {
    let listing = ctx.catalog.list().await?;
    ctx.run_blocking(move |ctx| {
        let models = listing.records.into_iter().map(|Versioned { record, .. }| {
            let last_used_at = ctx.store.last_used(&record.id);
            ListedModel { record, last_used_at }
        });
        let leftovers = ctx.store.leftovers().unwrap_or_else(|error| {
            tracing::debug!("unfinished transfers cannot be listed: {error}");
            Vec::new()
        });
        Ok(ModelList { models: models.collect(), damaged: listing.damaged, leftovers })
    })
    .await
}

/// Returns the record of a model, and the time of its last use.
pub(crate) async fn show(ctx: &Arc<Context>, reference: &ModelRef) -> Result<ListedModel> {
    let id = canonical(ctx, reference).await?.id();
    let record = records::find(ctx, &id).await?.record;
    ctx.run_blocking(move |ctx| Ok(ListedModel { last_used_at: ctx.store.last_used(&id), record })).await
}

/// Returns how the files of a record differ from it, for a person; `None` where they do not differ.
pub(crate) async fn change(ctx: &Arc<Context>, record: &CatalogRecord) -> Result<Option<String>> {
    let record = record.clone();
    ctx.run_blocking(move |ctx| {
        Ok(match freshness(&record, &ctx.store) {
            Freshness::Changed(change) => Some(change),
            Freshness::Unchanged if is_whole(&ctx.store, &record) => None,
            Freshness::Unchanged => Some("its removal was begun".to_owned()),
        })
    })
    .await
}
