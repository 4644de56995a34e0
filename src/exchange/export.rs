//! Copies a model into a folder, for a machine without network.

use std::{path::Path, sync::Arc};

use artifact_store::Lease;
use provisioner_core::{CatalogRecord, Lifecycle, ModelRef, Versioned};

use crate::{
    catalog::{
        provenance::{self, Action, Line},
        records,
    },
    context::{CancelOnDrop, Context},
    error::{Error, Result},
    handoff::lease::REMOVAL,
    resolve::reference::canonical,
    retry::retry_on_conflict,
    stage::read_progress::ReadProgress,
};

/// Copies a recorded model's files into a folder, with a `SHA256SUMS` and the record.
pub(crate) async fn export(ctx: &Arc<Context>, reference: &ModelRef, dir: &Path) -> Result<CatalogRecord> {
    let id = canonical(ctx, reference).await?.id();
    let (record, lease) = retry_on_conflict(&id, || leased_record(ctx, &id)).await?;
    let dir = std::path::absolute(dir)
        .map_err(|error| Error::storage("the working directory cannot be found", error))?;
    let cancel = CancelOnDrop::default();
    let is_cancelled = cancel.watch();
    ctx.run_blocking(move |ctx| {
        let _lease = lease;
        let sizes: Vec<_> = record.files.iter().map(|file| file.stamp.size).collect();
        let reading = ReadProgress::start(&ctx.progress, &record.id, &sizes);
        let mut watch = |bytes| {
            reading.add(bytes);
            !is_cancelled()
        };
        let exported = bundle::write(&record, &dir, &mut watch)?;
        let exported = CatalogRecord { local_path: dir, ..exported };
        provenance::log(ctx).record(&Line::of_record(ctx, Action::Export, &exported));
        Ok(exported)
    })
    .await
}

/// Returns the record of an active model, and a lease on the files that it names.
async fn leased_record(ctx: &Arc<Context>, id: &str) -> Result<(CatalogRecord, Lease)> {
    let found = records::find(ctx, id).await?;
    let Versioned { record, .. } = found.clone();
    if record.lifecycle == Lifecycle::Retired {
        return Err(Error::Retired { id: id.to_owned() });
    }
    let lease = ctx.run_blocking(move |ctx| Ok(ctx.store.lease(record.root(), &record.id, REMOVAL)?)).await?;
    // A removal that began before the lease has ended by now.
    if records::is_current(ctx, &found).await? { Ok((found.record, lease)) } else { Err(Error::conflict(id)) }
}
