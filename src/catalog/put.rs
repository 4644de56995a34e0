//! Writes records, each with a line of provenance.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Precondition, Versioned};

use super::provenance::{self, Action, Line};
use crate::{context::Context, error::Result};

/// Replaces the record `previous`, and appends a line of provenance.
///
/// # Errors
/// A [conflict](crate::Error::is_conflict) where another process changed the record since it was read.
pub(crate) async fn put(
    ctx: &Arc<Context>,
    record: CatalogRecord,
    previous: Option<&Versioned>,
    action: Action,
) -> Result<CatalogRecord> {
    check_log(ctx).await?;
    let expected = previous.map_or(Precondition::Absent, |found| Precondition::Version(found.version));
    ctx.catalog.put(&record, expected).await?;
    ctx.run_blocking(move |ctx| {
        provenance::log(ctx).record(&Line::of_record(ctx, action, &record));
        Ok(record)
    })
    .await
}

/// Fails where this process cannot append to the log. A step asks before it changes anything.
pub(crate) async fn check_log(ctx: &Arc<Context>) -> Result<()> {
    ctx.run_blocking(|ctx| provenance::log(ctx).check()).await
}
