//! Reads records.

use provisioner_core::{CatalogRecord, Versioned};

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

/// Returns every record that the catalog can read.
pub(crate) async fn all(ctx: &Context) -> Result<Vec<CatalogRecord>> {
    let listing = ctx.catalog.list().await?;
    Ok(listing.records.into_iter().map(|found| found.record).collect())
}

/// Returns whether a record is still the current one of its id.
pub(crate) async fn is_current(ctx: &Context, previous: &Versioned) -> Result<bool> {
    let found = ctx.catalog.get(&previous.record.id).await?;
    Ok(found.is_some_and(|found| found.version == previous.version))
}
