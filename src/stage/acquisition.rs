//! Plans where the missing files of a model come from, before the first byte moves.

use std::{path::PathBuf, sync::Arc};

use artifact_store::ResumableTransfers;
use local_caches::LocalFiles;
use provisioner_core::{ManifestFile, ModelRef, RelativePath};

use super::{
    key::{PartialKey, to_fetch},
    session::StagingSession,
    supply::local_caches::FileCandidates,
};
use crate::{context::Context, error::Result};

/// Says where the missing files of a model can be had, and how much of the disk they take.
#[derive(Default)]
pub(crate) struct AcquisitionPlan {
    /// The missing files.
    pub(crate) missing: Vec<ManifestFile>,
    /// The places on this machine where each file may lie.
    pub(crate) candidates: Vec<FileCandidates>,
    /// The bytes that unfinished transfers left.
    pub(crate) left: Arc<ResumableTransfers>,
    /// The partials that the model can resume.
    pub(crate) transfers: Arc<[PathBuf]>,
    /// How many bytes of each missing file the source would still have to send.
    pub(crate) to_fetch: Vec<u64>,
    /// How many bytes the disk must have.
    pub(crate) needed_bytes: u64,
    /// The first file that is nowhere on this machine.
    pub(crate) nowhere: Option<RelativePath>,
}

/// Looks for the missing files of a model, without the network. It gives the small ones their shared partial.
pub(crate) async fn plan_acquisition(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    missing: Vec<ManifestFile>,
    session: &Arc<StagingSession>,
) -> Result<AcquisitionPlan> {
    let (reference, session) = (reference.clone(), Arc::clone(session));
    ctx.run_blocking(move |ctx| {
        ctx.store.sweep()?;
        let left = ctx.store.resumable()?;
        if missing.is_empty() {
            return Ok(AcquisitionPlan { left: Arc::new(left), ..AcquisitionPlan::default() });
        }
        let local = LocalFiles::find(&ctx.adoption, &reference, ctx.store.root());
        let (mut candidates, mut needed_bytes, mut nowhere) = (Vec::new(), 0u64, None);
        let to_fetch: Vec<_> = missing.iter().map(|file| to_fetch(&reference, file, &left)).collect();
        for (file, to_fetch) in missing.iter().zip(&to_fetch) {
            let found = FileCandidates::of(file, &local);
            if found.is_none() && nowhere.is_none() {
                nowhere = Some(file.path.clone());
            }
            needed_bytes =
                needed_bytes.saturating_add(found.as_ref().map_or(*to_fetch, FileCandidates::space_bytes));
            candidates.extend(found);
        }
        // `share_small` may rename the partials of small files, so their folders are read after it.
        let sizes: Vec<_> = missing.iter().map(|file| file.size).collect();
        session.share_small(&ctx.store, &reference.id(), &sizes, &left)?;
        let of =
            |file: &ManifestFile| left.folders_of(&PartialKey::of(&reference, file).to_string()).to_vec();
        let (scratch, scratch_bytes) = left.scratch_of(&reference.id());
        let transfers = missing.iter().flat_map(of).chain(scratch.iter().cloned()).collect();
        let needed_bytes = needed_bytes.saturating_sub(scratch_bytes);
        let left = Arc::new(left);
        Ok(AcquisitionPlan { missing, candidates, left, transfers, to_fetch, needed_bytes, nowhere })
    })
    .await
}
