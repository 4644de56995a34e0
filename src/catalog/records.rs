//! Reads records.

use std::sync::Arc;

use artifact_store::RecordedModels;
use provisioner_core::{CatalogRecord, DamagedRecord, Versioned};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Returns the record of an id.
///
/// # Errors
/// [`Error::NotInCatalog`] where there is none.
pub(crate) async fn find(ctx: &Context, id: &str) -> Result<Versioned> {
    ctx.catalog.get(id).await?.ok_or_else(|| Error::NotInCatalog { id: id.to_owned() })
}

/// Shows every record that the catalog can read to `look`, on a thread that may block, and holds one page of them at a time.
/// Returns what `look` kept of them, and the records that the catalog cannot read.
pub(crate) async fn visit<T: Send + 'static>(
    ctx: &Arc<Context>,
    mut kept: T,
    look: fn(&Context, &mut T, CatalogRecord),
) -> Result<(T, Vec<DamagedRecord>)> {
    let (mut damaged, mut start) = (Vec::new(), None);
    loop {
        let page = ctx.catalog.page(start.as_ref()).await?;
        damaged.extend(page.damaged);
        let records = page.records;
        let looked = ctx.run_blocking(move |ctx| {
            for found in records {
                look(ctx, &mut kept, found.record);
            }
            Ok(kept)
        });
        kept = looked.await?;
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    damaged.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    Ok((kept, damaged))
}

/// Returns what an inventory of the store needs of every record that the catalog can read.
pub(crate) async fn recorded(ctx: &Arc<Context>) -> Result<RecordedModels> {
    let add = |ctx: &Context, kept: &mut RecordedModels, record| kept.add(&ctx.store, record);
    Ok(visit(ctx, RecordedModels::default(), add).await?.0)
}

/// Returns whether a record is still the current one of its id.
pub(crate) async fn is_current(ctx: &Context, previous: &Versioned) -> Result<bool> {
    let found = ctx.catalog.get(&previous.record.id).await?;
    Ok(found.is_some_and(|found| found.version == previous.version))
}
