//! Lists and shows records.

use std::sync::Arc;

use artifact_store::LeftoverEntry;
use provisioner_core::{CatalogRecord, DamagedRecord, ModelRef, Timestamp, Versioned};

use crate::{
    catalog::records,
    context::Context,
    error::Result,
    resolve::{
        presence::{COPIED, Freshness, freshness, is_copied, is_whole},
        reference::canonical,
    },
};

/// Lists the models of the catalog, and what else the cache has.
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

/// Describes one recorded model.
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
        let models = listing.records.into_iter().map(|Versioned { record, .. }| listed(ctx, record));
        Ok(ModelList { models: models.collect(), damaged: listing.damaged, leftovers: leftovers(ctx) })
    })
    .await
}

/// Returns a record with the time of its last use. It may block.
pub(super) fn listed(ctx: &Context, record: CatalogRecord) -> ListedModel {
    ListedModel { last_used_at: ctx.store.last_used(&record.id), record }
}

/// Returns the unfinished transfers and the quarantined files; none where the store cannot be read. It may block.
pub(super) fn leftovers(ctx: &Context) -> Vec<LeftoverEntry> {
    ctx.store.leftovers().unwrap_or_else(|error| {
        tracing::debug!("unfinished transfers cannot be listed: {error}");
        Vec::new()
    })
}

/// Returns the record of a model, and the time of its last use.
pub(crate) async fn show(ctx: &Arc<Context>, reference: &ModelRef) -> Result<ListedModel> {
    let id = canonical(ctx, reference).await?.id();
    let record = records::find(ctx, &id).await?.record;
    ctx.run_blocking(move |ctx| Ok(listed(ctx, record))).await
}

/// Returns how the files of a record differ from it, for a person; `None` where they do not differ.
pub(crate) async fn change(ctx: &Arc<Context>, record: &CatalogRecord) -> Result<Option<String>> {
    let record = record.clone();
    ctx.run_blocking(move |ctx| {
        Ok(match freshness(&record, &ctx.store) {
            // The caller's own files lie outside of the cache, and are not copied with it.
            Freshness::Changed(_) if ctx.store.holds(record.root()) && is_copied(&record) => {
                Some(format!("it was {COPIED}"))
            }
            Freshness::Changed(change) => Some(change),
            Freshness::Unchanged if is_whole(&ctx.store, &record) => None,
            Freshness::Unchanged => Some("its removal was begun".to_owned()),
        })
    })
    .await
}
