//! Keeps other processes from removing a model while an engine uses it.

use std::{sync::Arc, time::Duration};

use artifact_store::{Lease, LeaseHolder};
use provisioner_core::{Expectation, ModelRef, RecordedFile, ResolvedModel};

use crate::{
    catalog::records,
    context::Context,
    ensure::ensure,
    error::{Error, Result},
    resolve::{
        presence::change,
        reference::{canonical, parse},
    },
    retry::retry_on_conflict,
};

/// How long a lease waits for another process that removes the model, which takes no longer than unlinking the files.
pub(crate) const REMOVAL: Duration = Duration::from_secs(10);

/// Makes the model of a reference present, which a person wrote as text, and takes a lease on it.
pub(crate) async fn ensure_leased_str(
    ctx: &Arc<Context>,
    reference: &str,
    expectation: &Expectation,
) -> Result<(ResolvedModel, Lease)> {
    let parsed = parse(reference).await?;
    ensure_leased(ctx, &parsed, expectation).await.map_err(|error| error.guessing(reference))
}

/// Makes a model present and takes a lease on it.
pub(crate) async fn ensure_leased(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<(ResolvedModel, Lease)> {
    let id = reference.id();
    retry_on_conflict(&id, || async {
        let model = ensure(ctx, reference, expectation).await?;
        match lease(ctx, &model).await {
            // Another process removed the model in between.
            Err(Error::NotInCatalog { id }) => Err(Error::conflict(&id)),
            leased => leased.map(|lease| (model, lease)),
        }
    })
    .await
}

/// Takes a lease on a model.
pub(crate) async fn lease(ctx: &Arc<Context>, model: &ResolvedModel) -> Result<Lease> {
    let model = model.clone();
    ctx.run_blocking(move |ctx| {
        let lease = ctx.store.lease(model.root(), &model.id, REMOVAL)?;
        // A removal that began before the lease has ended by now, and left no file.
        let is_there = |file: &RecordedFile| change(file, &model.location(&file.path)).is_none();
        if model.files.iter().all(is_there) { Ok(lease) } else { Err(Error::NotInCatalog { id: model.id }) }
    })
    .await
}

/// Returns the processes that have a lease on a recorded model.
pub(crate) async fn holders(ctx: &Arc<Context>, reference: &ModelRef) -> Result<Vec<LeaseHolder>> {
    let id = canonical(ctx, reference).await?.id();
    let record = records::find(ctx, &id).await?.record;
    ctx.run_blocking(move |ctx| Ok(ctx.store.holders(record.root(), &record.id)?)).await
}
