//! Makes the record of a model that stays where a verifier judged it.

use std::sync::Arc;

use provisioner_core::{CatalogRecord, Digest, Placement, VerifiedModel};

use crate::{
    context::Context,
    error::{Error, Result},
    resolve::presence::{Freshness, freshness},
};

/// Returns the record of a model that a verifier has just judged where it lies.
///
/// # Errors
/// [`Error::ChangedWhileRead`] where its files, or a folder's names, have changed since; a [conflict](Error::is_conflict) where
/// another process did that in the store.
pub(crate) async fn record_of(ctx: &Arc<Context>, verified: VerifiedModel) -> Result<CatalogRecord> {
    let id = || verified.staged().manifest().reference().id();
    let placement = Placement::in_place(&verified).ok_or_else(|| provisioner_core::Error::Inconsistent {
        id: id(),
        reason: "its files have no folder in common".to_owned(),
    })?;
    ctx.run_blocking(move |ctx| {
        let is_stored = ctx.store.holds(placement.root());
        let placement = if is_stored {
            let files = verified.staged().files().iter();
            let is_externally_linked = |digest: &Digest| ctx.store.may_be_externally_linked(digest);
            let are_shared: Vec<_> =
                files.map(|file| file.sha256.as_ref().is_some_and(is_externally_linked)).collect();
            placement.in_a_store(&are_shared)
        } else {
            placement
        };
        let fresh = CatalogRecord::new(&verified, &placement, ctx.clock.now());
        // The record has what the files of the model are known by: those of many are in memory once.
        drop(verified);
        match freshness(&fresh, &ctx.store) {
            Freshness::Unchanged => Ok(fresh),
            // Another process removed the file from the store, or linked it, after this one looked at it.
            Freshness::Changed(_) if is_stored => {
                Err(artifact_store::Error::Vanished { path: fresh.local_path }.into())
            }
            Freshness::Changed(_) => Err(Error::ChangedWhileRead { path: fresh.local_path }),
        }
    })
    .await
}
